//! Quotes and parcels over HTTP.

use serde_json::{Value, json};

use crate::{
    http::basket,
    shop::{ALICE, BOB, Call, shop, until},
};

#[tokio::test]
async fn a_parcel_is_followed_to_its_customer() {
    let placed =
        Call::post("/v1/orders").customer(ALICE).key("followed").json(&basket()).check(201, "").await.json();
    let path = format!("/v1/orders/{}/shipments", placed["id"].as_str().expect("an id"));
    let shown = Call::get(&path).customer(ALICE);
    let delivered = until("the parcel to arrive", async || {
        let parcels = shown.send(shop().await).await.is(200).json();
        parcels["shipments"].get(0).filter(|parcel| parcel["state"] == "delivered").cloned()
    })
    .await;
    assert!(delivered["tracking"].is_string());
    assert!(delivered["promised_by"].as_str() > delivered["arrived_at"].as_str(), "{delivered}");
    Call::get(&path).staff().check(200, "").await;
    Call::get(&path).customer(BOB).check(404, "unknown_order").await;
    Call::get(&path).check(401, "token_missing").await;
    let order = Call::get(path.trim_end_matches("/shipments")).customer(ALICE).check(200, "").await.json();
    assert_eq!(order["tracking"], delivered["tracking"]);
}

#[tokio::test]
async fn a_basket_is_quoted_and_a_bad_one_is_not() {
    let quote = |body: &Value| Call::post("/v1/quotes").customer(ALICE).json(body);
    let quotes = quote(&json!({"lines": [{"sku": "apple", "quantity": 3}]})).check(200, "").await.json();
    assert_eq!(quotes["source"], "carrier");
    assert_eq!(quotes["services"][0]["service"], "standard");
    assert_eq!(quotes["services"][0]["price"], json!({"minor": 530, "currency": "EUR"}));
    assert!(quotes["services"][1]["promised_by"].as_str() < quotes["services"][0]["promised_by"].as_str());
    let line = |sku: &str, quantity: i64| json!({"lines": [{"sku": sku, "quantity": quantity}]});
    for (body, problem) in [
        (json!({"lines": []}), "invalid_body"),
        (line("apple", 0), "invalid_body"),
        (line("apple", -1), "invalid_body"),
        (line("no-such", 1), "unknown_product"),
        (
            json!({"lines": [{"sku": "apple", "quantity": 1}, {"sku": "apple", "quantity": 1}]}),
            "invalid_body",
        ),
        (json!({"lines": [{"sku": "apple", "quantity": 1}], "service": "express"}), "invalid_body"),
    ] {
        quote(&body).check(422, problem).await;
    }
    quote(&Value::Null).raw("{").check(400, "malformed_json").await;
    Call::post("/v1/quotes").json(&line("apple", 1)).check(401, "token_missing").await;
}
