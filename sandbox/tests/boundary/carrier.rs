//! The carrier.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::outside::{Outside, got};

#[tokio::test]
async fn a_shipment_is_booked_found_and_cancelled() {
    let outside = Outside::start().await;
    let booked = got(outside.booking("k1", "order-1")).await;
    assert_eq!((booked.status, booked.body["status"].as_str()), (201, Some("booked")));
    assert_eq!(booked.body["reference"], "order-1");
    assert!(booked.body["tracking"].is_string());
    let again = got(outside.booking("k1", "order-1")).await;
    assert!(again.replayed);
    assert_eq!((again.status, &again.body), (201, &booked.body));
    let found = outside.get("/carrier/v1/shipments?reference=order-1").await;
    assert_eq!(found.body["data"], json!([booked.body]));
    let path = format!("/carrier/v1/shipments/{}/cancel", booked.id());
    for key in ["k2", "k3"] {
        let cancel = outside.request(Method::POST, &path).header("Idempotency-Key", key);
        let cancelled = got(cancel.json(&json!({ "metadata": { "order": "order-1" } }))).await;
        assert_eq!((cancelled.status, cancelled.body["status"].as_str()), (200, Some("cancelled")));
    }
    assert_eq!(
        outside.get(&format!("/carrier/v1/shipments/{}", booked.id())).await.body["status"],
        "cancelled"
    );
    assert_eq!(outside.kinds().await, ["shipment_booked", "shipment_cancelled"]);
}

#[tokio::test]
async fn an_undeliverable_parcel_is_refused_again_and_again() {
    let outside = Outside::with("book.refuse=100%").await;
    for replayed in [false, true] {
        let refused = got(outside.booking("k1", "order-1")).await;
        assert_eq!((refused.status, refused.code(), refused.replayed), (422, "undeliverable", replayed));
    }
    assert_eq!(outside.kinds().await, ["shipment_refused"]);
    assert_eq!(outside.cell("book", "refused").await, json!({ "count": 1, "examples": ["order-1"] }));
}

#[tokio::test]
async fn the_two_parties_do_not_share_keys() {
    let outside = Outside::start().await;
    assert_eq!(outside.charge("k1", "order-1").await.status, 200);
    assert_eq!(got(outside.booking("k1", "order-1")).await.status, 201);
    let other = got(outside.booking("k1", "order-2")).await;
    assert_eq!((other.status, other.code()), (400, "idempotency_key_reused"));
}

#[tokio::test]
async fn parcels_arrive_in_their_order_and_some_come_back() {
    let outside = Outside::tweaked(|config| {
        (config.deliver_after_s, config.returned) = (Some(60), "50%".parse().unwrap());
    })
    .await;
    let mut ids = Vec::new();
    for n in 0..12 {
        let booked = got(outside.booking(&format!("k{n}"), &format!("order-{n}"))).await;
        assert_eq!(booked.body["promised"], booked.body["created"].as_i64().unwrap() + 3 * 86_400);
        ids.push(booked.id().to_owned());
    }
    let cancel = outside.request(Method::POST, &format!("/carrier/v1/shipments/{}/cancel", ids[3]));
    got(cancel.json(&json!({}))).await;
    let none = outside.get("/carrier/v1/events?after=0").await;
    assert_eq!(none.body, json!({ "data": [], "next": 0, "has_more": false }));
    outside.clock.pass(Duration::from_secs(60));
    got(outside.booking("later", "later")).await;
    let page = outside.get("/carrier/v1/events?after=0").await;
    assert_eq!((&page.body["next"], &page.body["has_more"]), (&json!(12), &json!(false)));
    let events = page.body["data"].as_array().unwrap();
    let told: Vec<&str> = events.iter().map(|event| event["shipment"].as_str().unwrap()).collect();
    ids.remove(3);
    assert_eq!(told, ids);
    let of = |status: &str| events.iter().filter(|event| event["status"] == status).count();
    assert!(
        of("delivered") > 0 && of("returned") > 0 && of("delivered") + of("returned") == 11,
        "{events:?}"
    );
    let shown = outside.get(&format!("/carrier/v1/shipments/{}", ids[0])).await;
    assert_eq!(shown.body["status"], events[0]["status"]);
    let rest = outside.get("/carrier/v1/events?after=11").await;
    assert_eq!(rest.body["data"][0]["position"], 12);
    for (after, code) in [("14", "no_such_position"), ("", "after_invalid"), ("-1", "after_invalid")] {
        let bad = outside.get(&format!("/carrier/v1/events?after={after}")).await;
        assert_eq!((bad.status, bad.code()), (400, code));
    }
}

#[tokio::test]
async fn several_parcels_are_booked_at_once_and_each_arrives_for_itself() {
    let outside = Outside::tweaked(|config| config.deliver_after_s = Some(60)).await;
    let ask = async |key: &str, goods: serde_json::Value| {
        let mut body = json!({"reference": key, "metadata": {"order": key, "attempt": 1}});
        body.as_object_mut().unwrap().extend(goods.as_object().unwrap().clone());
        let request = outside.request(Method::POST, "/carrier/v1/shipments").header("Idempotency-Key", key);
        got(request.json(&body)).await
    };
    let parcels = json!({"parcels": [{"items": 2}, {"items": 1, "place": "north"}]});
    let split = ask("split", parcels.clone()).await;
    assert_eq!(ask("split", parcels).await.body, split.body, "a repeat");
    let whole = ask("whole", json!({"lines": [{"sku": "A"}, {"sku": "B"}]})).await;
    let numbers = |body: &serde_json::Value| -> Vec<String> {
        let parcels = body["parcels"].as_array().unwrap().iter();
        parcels.map(|parcel| parcel["tracking"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!((numbers(&split.body).len(), numbers(&whole.body).len()), (2, 1));
    assert_eq!(split.body["tracking"], numbers(&split.body)[0]);
    outside.clock.pass(Duration::from_secs(60));
    let page = outside.get("/carrier/v1/events?after=0").await;
    let told = page.body["data"].as_array().unwrap().iter();
    let told: Vec<(i64, &str)> = told
        .map(|event| (event["position"].as_i64().unwrap(), event["tracking"].as_str().unwrap()))
        .collect();
    let [first, second] = &numbers(&split.body)[..] else { panic!("two") };
    assert_eq!(told, [(1, &first[..]), (2, &second[..]), (3, &numbers(&whole.body)[0][..])]);
    let rest = outside.get("/carrier/v1/events?after=1").await;
    assert_eq!(rest.body["data"][0]["tracking"], *second, "a page may begin within a shipment");
}

#[tokio::test]
async fn a_quote_is_no_booking() {
    let outside = Outside::start().await;
    let quotes = outside.get("/carrier/v1/quotes?items=3&currency=EUR").await;
    let [standard, express] = &quotes.body["data"].as_array().unwrap()[..] else { panic!("{quotes:?}") };
    assert_eq!((&standard["service"], &standard["amount"]), (&json!("standard"), &json!(530)));
    assert_eq!((&express["service"], &express["amount"]), (&json!("express"), &json!(1_370)));
    assert!(express["promised"].as_i64() < standard["promised"].as_i64());
    for bad in ["", "items=0&currency=EUR", "items=1", "items=1000001&currency=EUR", "items=1&currency=EURO"]
    {
        let bad = outside.get(&format!("/carrier/v1/quotes?{bad}")).await;
        assert_eq!((bad.status, bad.code()), (400, "quote_invalid"));
    }
    assert!(outside.kinds().await.is_empty());
}
