//! Breaks: turned up for a while, measured with the monotonic clock.

use std::time::Duration;

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::outside::{Got, Outside, got};

async fn break_it(outside: &Outside, body: Value) -> Got {
    got(outside.request(Method::POST, "/sandbox/break").json(&body)).await
}

async fn refused(outside: &Outside, orders: usize, prefix: &str) -> usize {
    let orders: Vec<String> = (0..orders).map(|n| format!("{prefix}-{n}")).collect();
    let charged = join_all(orders.iter().map(|order| outside.charge(order, order))).await;
    charged.iter().filter(|got| got.status == 402).count()
}

#[tokio::test]
async fn a_break_hits_its_share_for_its_time() {
    let outside = Outside::start().await;
    let body = json!({ "target": "gateway", "fault": "refuse", "percent": 50, "seconds": 30 });
    let ordered = break_it(&outside, body).await;
    assert_eq!((ordered.status, ordered.body["remaining_seconds"].as_f64()), (201, Some(30.0)));
    let hit = refused(&outside, 100, "during").await;
    assert!((25..75).contains(&hit), "{hit} of 100 refused");
    assert_eq!(got(outside.booking("k1", "order-1")).await.status, 201);
    outside.clock.pass(Duration::from_secs(29));
    assert_eq!(outside.get("/sandbox/break").await.body["breaks"][0]["remaining_seconds"], 1.0);
    outside.clock.pass(Duration::from_secs(1));
    assert_eq!(outside.get("/sandbox/break").await.body["breaks"], json!([]));
    assert_eq!(refused(&outside, 20, "after").await, 0);
}

#[tokio::test]
async fn breaks_are_cleared() {
    let outside = Outside::start().await;
    let body = json!({ "target": "carrier", "fault": "garbage", "percent": 100, "seconds": 3600 });
    break_it(&outside, body).await;
    assert!(got(outside.booking("k1", "order-1")).await.body.is_string());
    let cleared = got(outside.request(Method::DELETE, "/sandbox/break")).await;
    assert_eq!(cleared.body, json!({ "cleared": 1 }));
    assert_eq!(got(outside.booking("k2", "order-2")).await.status, 201);
}

#[tokio::test]
async fn a_party_that_is_down_cannot_be_read_either() {
    let outside = Outside::start().await;
    let body = json!({ "target": "gateway", "fault": "down", "percent": 100, "seconds": 10 });
    break_it(&outside, body).await;
    for path in ["/v1/payment_intents/pi_1", "/v1/payment_intents/pi_2", "/v1/refunds?payment_intent=pi_1"] {
        match outside.request(Method::GET, path).send().await {
            Ok(response) => assert_eq!(response.status(), 503),
            Err(error) => assert!(error.is_request()),
        }
    }
    assert_eq!(outside.get("/carrier/v1/shipments?reference=r").await.status, 200);
}

#[tokio::test]
async fn a_break_out_of_bounds_is_refused() {
    let outside = Outside::start().await;
    let fine = json!({ "target": "gateway", "fault": "late", "percent": 1, "seconds": 1 });
    let bad = [
        ("percent", json!(0), 400),
        ("percent", json!(101), 400),
        ("percent", json!(-1), 400),
        ("seconds", json!(0), 400),
        ("seconds", json!(3601), 400),
        ("target", json!("bank"), 422),
        ("fault", json!("sleepy"), 422),
        ("more", json!(1), 422),
    ];
    for (name, value, status) in bad {
        let mut body = fine.clone();
        body[name] = value;
        assert_eq!(break_it(&outside, body).await.status, status, "{name}");
    }
    for _ in 0..16 {
        assert_eq!(break_it(&outside, fine.clone()).await.status, 201);
    }
    assert_eq!(break_it(&outside, fine).await.status, 409);
}
