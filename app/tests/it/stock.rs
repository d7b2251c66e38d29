//! Stock, for staff and for the public: what was found, where it went, what is told.

use serde_json::{Value, json};

use crate::shop::{ALICE, Call, shop, until};

const SKU: &str = "sextant";

fn find(key: &str, finding: &Value) -> Call {
    let mut body = json!({"sku": SKU, "reason": "looked twice"});
    body.as_object_mut().expect("an object").extend(finding.as_object().expect("an object").clone());
    Call::post("/v1/stock/adjustments").staff().key(key).json(&body)
}

#[tokio::test]
async fn what_was_found_is_booked_told_and_traced() {
    find("early", &json!({"by": 1})).check(404, "unknown_product").await;
    let product = json!({"sku": SKU, "name": SKU, "category": "fruit", "price_minor": 1, "currency": "EUR"});
    let products = json!({"products": [product]});
    Call::post("/v1/products").staff().key("sextants").json(&products).check(200, "").await;
    let lines = json!({"lines": [{"sku": SKU, "quantity": 20}]});
    Call::post("/v1/stock/receipts").staff().key("sextants").json(&lines).check(201, "").await;
    for (finding, problem) in [
        (json!({}), "invalid_body"),
        (json!({"by": 1, "counted": 1}), "invalid_body"),
        (json!({"by": 0}), "invalid_body"),
        (json!({"counted": -1}), "invalid_body"),
        (json!({"by": 1_000_000_001}), "invalid_body"),
        (json!({"by": 1.5}), "invalid_body"),
        (json!({"by": 1, "colour": "red"}), "invalid_body"),
        (json!({"by": -21}), "below_zero"),
    ] {
        find("bad", &finding).check(422, problem).await;
    }
    find("theirs", &json!({"by": 1})).customer(ALICE).check(403, "staff_only").await;
    assert_eq!(find("lost", &json!({"by": -3})).check(201, "").await.json()["quantity"], -3);
    let again = find("lost", &json!({"by": -3})).check(201, "").await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    find("lost", &json!({"by": -4})).check(422, "key_reused").await;
    assert_eq!(find("count", &json!({"counted": 18})).check(201, "").await.json()["quantity"], 1);
    let public = Call::get(&format!("/v1/products/{SKU}/availability"));
    until("the public to be told", async || {
        (public.send(shop().await).await.json()["available"] == 18).then_some(())
    })
    .await;
    Call::get("/v1/products/never/availability").check(404, "unknown_product").await;
    let awaited =
        json!({"sku": "awaited", "name": "awaited", "category": "", "price_minor": 1, "currency": "EUR"});
    let products = json!({"products": [awaited]});
    Call::post("/v1/products").staff().key("awaited").json(&products).check(200, "").await;
    let told = Call::get("/v1/products/awaited/availability").check(200, "").await.json();
    assert_eq!(told, json!({"sku": "awaited", "available": 0}), "it is sold here, and never came in");
    assert_eq!(Call::get("/v1/stock/awaited").staff().check(200, "").await.json()["received"], 0);
    let movements = format!("/v1/stock/{SKU}/movements");
    Call::get(&movements).customer(ALICE).check(403, "staff_only").await;
    let first = Call::get(&format!("{movements}?limit=2")).staff().check(200, "").await.json();
    let next = first["next"].as_str().expect("there are more");
    let second = Call::get(&format!("{movements}?limit=2&cursor={next}")).staff().check(200, "").await.json();
    let all = [&first, &second].into_iter().flat_map(|page| page["movements"].as_array().expect("movements"));
    let told: Vec<(&str, i64)> = all
        .map(|movement| {
            (movement["what"].as_str().expect("what"), movement["quantity"].as_i64().expect("a quantity"))
        })
        .collect();
    assert_eq!(told, [("StockAdjusted", 1), ("StockAdjusted", -3), ("GoodsReceived", 20)]);
    for cursor in ["x", "1.2", "1.2.3.4", "-1.2.3", "1.2.g"] {
        Call::get(&format!("{movements}?cursor={cursor}")).staff().check(400, "invalid_cursor").await;
    }
    let output = shop().await.banyan(&["stock", "show", SKU]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    for line in [
        "18 free, 0 kept",
        "the public is told 18 as of",
        "+20  GoodsReceived",
        "-3  StockAdjusted",
        "staff:tester",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}
