//! Quotes and parcels over HTTP.

use serde_json::{Value, json};

use crate::{
    http::basket,
    shop::{ALICE, BOB, Call, audit_names_nothing_of, shop, until},
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
async fn what_stands_at_two_places_goes_in_two_parcels_and_its_customer_is_told_once() {
    let product = json!({"sku": "herring", "name": "herring", "category": "fish", "price_minor": 700, "currency": "EUR"});
    let products = json!({"products": [product]});
    Call::post("/v1/products").staff().key("herrings").json(&products).check(200, "").await;
    let receive = |key: &str, place: &str| {
        let receipt = json!({"lines": [{"sku": "herring", "quantity": 5}], "place": place});
        Call::post("/v1/stock/receipts").staff().key(key).json(&receipt)
    };
    receive("herrings", "cold-store").check(201, "").await;
    receive("more-herrings", "harbour").check(422, "stands_elsewhere").await;
    let level = Call::get("/v1/stock/herring").staff().check(200, "").await.json();
    assert_eq!((&level["place"], &level["on_hand"]), (&json!("cold-store"), &json!(5)));

    let lines = json!([{"sku": "apple", "quantity": 2}, {"sku": "herring", "quantity": 1}]);
    let wish = json!({"lines": lines, "payment_method": "pm_card_visa"});
    let placed = Call::post("/v1/orders").customer(BOB).key("split").json(&wish).check(201, "").await.json();
    let id = placed["id"].as_str().expect("an id");
    let path = format!("/v1/orders/{id}/shipments");
    let arrived = until("both parcels to arrive", async || {
        let shown = Call::get(&path).customer(BOB).send(shop().await).await.is(200).json();
        let parcels = shown["shipments"].as_array().expect("parcels").clone();
        let arrived = parcels.iter().filter(|parcel| parcel["state"] == "delivered").count();
        (arrived == 2).then_some(parcels)
    })
    .await;
    assert_ne!(arrived[0]["tracking"], arrived[1]["tracking"]);
    let order = Call::get(&format!("/v1/orders/{id}")).customer(BOB).check(200, "").await.json();
    let parcel = |n: usize, place: &str| {
        assert_eq!(arrived[n]["place"], place);
        json!({"tracking": arrived[n]["tracking"], "place": place, "lines": [lines[1 - n]]})
    };
    assert_eq!(order["parcels"], json!([parcel(0, "cold-store"), parcel(1, "main")]));
    assert_eq!(order["tracking"], arrived[0]["tracking"]);

    let told = until("the customer to be told", async || {
        let mails = Call::get("/v1/mails?limit=200").customer(BOB).send(shop().await).await.is(200).json();
        let mails = mails["mails"].as_array().expect("mails").iter().filter(|mail| mail["order"] == *id);
        let kinds: Vec<String> =
            mails.map(|mail| mail["kind"].as_str().expect("a kind").to_owned()).collect();
        // By two consumers, of which either may be first.
        let told = |kind: &&str| kinds.iter().any(|told| told == kind);
        ["shipped", "delivered"].iter().all(told).then_some(kinds)
    })
    .await;
    let count = |kind: &str| told.iter().filter(|told| *told == kind).count();
    assert_eq!((count("shipped"), count("delivered")), (1, 1), "{told:?}");
    let mail = Call::get(&format!("/v1/mails/{id}.shipped.0")).customer(BOB).check(200, "").await.json();
    let text = mail["text"].as_str().expect("a text");
    assert!(text.contains("in 2 parcels"), "{text}");
    for parcel in &arrived {
        assert!(text.contains(parcel["tracking"].as_str().expect("a number")), "{text}");
    }
    audit_names_nothing_of(id).await;
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
    quote(&Value::Null).body("{").check(400, "malformed_json").await;
    Call::post("/v1/quotes").json(&line("apple", 1)).check(401, "token_missing").await;
}
