//! What callers do wrong, and what they are told.

use std::time::Duration;

use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::outside::{Outside, SECRET, charge, got};

#[tokio::test]
async fn strangers_are_kept_out() {
    let outside = Outside::start().await;
    let paths = [
        "/v1/payment_intents/pi_1",
        "/carrier/v1/shipments?reference=r",
        "/sandbox/book",
        "/sandbox/book/totals",
        "/sandbox/book/orders/o",
        "/sandbox/faults",
        "/sandbox/break",
    ];
    for path in paths {
        let url = format!("http://{}{path}", outside.address());
        let wrong = if path.starts_with("/sandbox") { SECRET } else { "sk_other" };
        assert_eq!(got(outside.client.get(&url)).await.status, 401, "{path}");
        assert_eq!(got(outside.client.get(&url).bearer_auth(wrong)).await.status, 401, "{path}");
    }
    let live = format!("http://{}/health/live", outside.address());
    assert_eq!(got(outside.client.get(live)).await.status, 200);
}

#[tokio::test]
async fn a_field_that_is_wrong_is_named() {
    let outside = Outside::start().await;
    let wrong = [
        ("amount", "0", "parameter_invalid_integer"),
        ("amount", "-5", "parameter_invalid_integer"),
        ("amount", "+5", "parameter_invalid_integer"),
        ("amount", "1.5", "parameter_invalid_integer"),
        ("amount", "99999999999999999999", "parameter_invalid_integer"),
        ("currency", "pounds", "parameter_invalid"),
        ("payment_method", "pm_card_unknown", "parameter_invalid"),
        ("capture_method", "automatic", "parameter_invalid"),
        ("confirm", "false", "parameter_invalid"),
        ("metadata[attempt]", "0", "parameter_invalid"),
        ("metadata[attempt]", "x", "parameter_invalid"),
    ];
    for (name, value, code) in wrong {
        let fields = charge("order-1", "pm_card_visa")
            .map(|(field, right)| (field, if field == name { value } else { right }));
        let refused = got(outside.form("/v1/payment_intents", "k1", &fields)).await;
        assert_eq!((refused.status, refused.code()), (400, code), "{name}={value}");
        assert_eq!(refused.body["error"]["param"], name);
    }
    let mut fields = charge("order-1", "pm_card_visa").to_vec();
    let missing = got(outside.form("/v1/payment_intents", "k1", &fields[1..])).await;
    assert_eq!(missing.code(), "parameter_missing");
    fields.push(("colour", "red"));
    assert_eq!(got(outside.form("/v1/payment_intents", "k1", &fields)).await.code(), "parameter_unknown");
    fields.pop();
    fields.push(("amount", "1"));
    assert_eq!(got(outside.form("/v1/payment_intents", "k1", &fields)).await.code(), "parameter_invalid");
    // What was refused left nothing behind, the key included.
    assert_eq!(outside.charge("k1", "order-1").await.status, 200);
}

#[tokio::test]
async fn a_body_of_another_kind_is_refused() {
    let outside = Outside::start().await;
    let json = outside.request(Method::POST, "/v1/payment_intents").json(&1);
    assert_eq!(got(json).await.code(), "body_invalid");
    let path = "/carrier/v1/shipments";
    for body in ["{", "[]", "{}", "{\"reference\":\"r\"}", "{\"reference\":\"r\",\"lines\":[1],\"colour\":1}"]
    {
        let request =
            outside.request(Method::POST, path).header("Content-Type", "application/json").body(body);
        let refused = got(request).await;
        assert_eq!((refused.status, refused.code()), (400, "body_invalid"), "{body}");
    }
}

#[tokio::test]
async fn bodies_and_headers_are_bounded() {
    let outside = Outside::start().await;
    let large = "a".repeat(70_000);
    let fields = [("amount", large.as_str())];
    assert_eq!(got(outside.form("/v1/payment_intents", "k1", &fields)).await.status, 413);
    let request = |name, value: &str| outside.charging("k1", "order-1", "pm_card_visa").header(name, value);
    assert_eq!(got(request("Banyan-Try", "0")).await.code(), "header_invalid");
    assert_eq!(outside.charge(&"k".repeat(256), "order-1").await.code(), "header_invalid");
    assert_eq!(got(request("X-Long", &"h".repeat(20_000))).await.status, 431);
    assert!(outside.kinds().await.is_empty());
}

#[tokio::test]
async fn wrong_paths_and_methods_are_told() {
    let outside = Outside::start().await;
    assert_eq!(outside.get("/v2/payment_intents").await.status, 404);
    assert_eq!(outside.get("/v1/payment_intents").await.status, 405);
}

#[tokio::test]
async fn half_a_request_does_not_hold_up_the_end() {
    let outside = Outside::start().await;
    let mut stream = TcpStream::connect(outside.address()).await.unwrap();
    stream.write_all(b"POST /v1/payment_intents HTTP/1.1\r\nHost: x\r\n").await.unwrap();
    tokio::time::timeout(Duration::from_secs(10), outside.stop()).await.unwrap();
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
    assert!(rest.is_empty());
}
