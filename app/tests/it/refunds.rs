//! Refunds over HTTP: by staff, after the order was handed over, told to the customer, and the books agree.

use serde_json::{Value, json};

use crate::{
    http::basket,
    shop::{ALICE, BOB, Call, audit_names_nothing_of, shop, until},
};

#[tokio::test]
async fn what_arrived_broken_is_refunded_in_parts_and_told() {
    let placed =
        Call::post("/v1/orders").customer(ALICE).key("broken").json(&basket()).check(201, "").await.json();
    let id = placed["id"].as_str().expect("an id").to_owned();
    let total = placed["total"]["minor"].as_i64().expect("a total");
    let path = format!("/v1/orders/{id}/refunds");
    let wish = |amount: Value| json!({"amount_minor": amount, "reason": "arrived broken"});
    let order = Call::get(&format!("/v1/orders/{id}")).customer(ALICE);
    until("the order to be shipped", async || {
        (order.send(shop().await).await.json()["state"] == "shipped").then_some(())
    })
    .await;
    let give = |key: &str, amount: Value| Call::post(&path).staff().key(key).json(&wish(amount));
    Call::post(&path).customer(ALICE).key("r").json(&wish(json!(1))).check(403, "staff_only").await;
    Call::post(&path).staff().json(&wish(json!(1))).check(400, "idempotency_key_missing").await;
    for amount in [json!(0), json!(-1), json!(1.5), json!("1"), json!(i64::MAX)] {
        let answer = give("bad", amount.clone()).send(shop().await).await;
        assert_eq!(answer.status, 422, "{amount}: {}", answer.text);
    }
    let reasonless = Call::post(&path).staff().key("bad").json(&json!({"reason": ""}));
    reasonless.check(422, "invalid_body").await;
    let refunded = async |key: &str, amount: Value| {
        until("the gateway to say", async || {
            let answer = give(key, amount.clone()).send(shop().await).await;
            (![409, 503].contains(&answer.status)).then(|| answer.is(201).json())
        })
        .await
    };
    assert_eq!(refunded("one", json!(1)).await["amount"]["minor"], 1);
    let again = give("one", json!(1)).check(201, "").await;
    assert_eq!((&again.json()["n"], again.header("idempotent-replayed")), (&json!(1), Some("true")));
    give("one", json!(2)).check(422, "key_reused").await;
    by_lines(&path, total).await;
    give("much", json!(total)).check(422, "more_than_taken").await;
    assert_eq!(refunded("rest", Value::Null).await["amount"]["minor"], total - 1);
    let listed = Call::get(&path).customer(ALICE).check(200, "").await.json();
    assert_eq!(listed["refunds"].as_array().expect("refunds").len(), 2);
    Call::get(&path).customer(BOB).check(404, "unknown_order").await;
    let again = give("rest", Value::Null).check(201, "").await;
    let mails = Call::get("/v1/mails?limit=200").customer(ALICE);
    let mails = mails.header("consistency-token", again.header("consistency-token").expect("a token"));
    let mails = until("the customer to be told", async || {
        let answer = mails.send(shop().await).await;
        (answer.status != 412).then(|| answer.is(200).json())
    })
    .await;
    let told = mails["mails"].as_array().expect("mails").iter();
    let told = told.filter(|mail| mail["order"] == *id && mail["kind"] == "refunded").count();
    assert_eq!(told, 2, "both, as the token asks: {mails}");
    audit_names_nothing_of(&id).await;
}

#[tokio::test]
async fn what_was_not_handed_over_is_cancelled_instead() {
    let body =
        json!({"lines": [{"sku": "apple", "quantity": 1}], "payment_method": "pm_card_chargeDeclined"});
    let placed =
        Call::post("/v1/orders").customer(BOB).key("declined").json(&body).check(201, "").await.json();
    let id = placed["id"].as_str().expect("an id");
    let order = Call::get(&format!("/v1/orders/{id}")).customer(BOB);
    until("the order to be undone", async || {
        (order.send(shop().await).await.json()["state"] == "cancelled").then_some(())
    })
    .await;
    let give =
        Call::post(&format!("/v1/orders/{id}/refunds")).staff().key("r").json(&json!({"reason": "why not"}));
    give.check(409, "not_shipped").await;
}

/// What is asked for by lines and is not to be had.
async fn by_lines(path: &str, total: i64) {
    let give = |lines: Value| {
        Call::post(path).staff().key("lines").json(&json!({"lines": lines, "reason": "arrived broken"}))
    };
    give(json!([])).check(422, "invalid_body").await;
    give(json!([{"sku": "kumquat", "quantity": 1}])).check(422, "invalid_body").await;
    give(json!([{"sku": "apple", "quantity": 1}, {"sku": "apple", "quantity": 1}]))
        .check(422, "invalid_body")
        .await;
    give(json!([{"sku": "apple", "quantity": 1_000}])).check(422, "more_than_ordered").await;
    let both = json!({"lines": [{"sku": "apple", "quantity": 1}], "amount_minor": total, "reason": "both"});
    Call::post(path).staff().key("both").json(&both).check(422, "invalid_body").await;
}

#[tokio::test]
async fn what_was_ordered_is_refunded_at_its_price_and_once() {
    let placed =
        Call::post("/v1/orders").customer(BOB).key("by-lines").json(&basket()).check(201, "").await.json();
    let id = placed["id"].as_str().expect("an id").to_owned();
    let order = Call::get(&format!("/v1/orders/{id}")).customer(BOB);
    let order = until("the order to be shipped", async || {
        let order = order.send(shop().await).await.json();
        (order["state"] == "shipped").then_some(order)
    })
    .await;
    let line = &order["lines"][0];
    let wish = json!({"lines": [{"sku": line["sku"], "quantity": line["quantity"]}], "reason": "came back"});
    let give = |key: &str| Call::post(&format!("/v1/orders/{id}/refunds")).staff().key(key).json(&wish);
    let refund = until("the gateway to say", async || {
        let answer = give("one").send(shop().await).await;
        (![409, 503].contains(&answer.status)).then(|| answer.is(201).json())
    })
    .await;
    let cost =
        line["quantity"].as_i64().zip(line["unit_price"]["minor"].as_i64()).map(|(many, each)| many * each);
    assert_eq!((refund["amount"]["minor"].as_i64(), &refund["lines"]), (cost, &wish["lines"]));
    give("two").check(422, "more_than_ordered").await;
}
