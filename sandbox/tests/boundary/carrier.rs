//! The carrier.

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
