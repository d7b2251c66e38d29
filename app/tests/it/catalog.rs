//! What is sold, over HTTP: found, tagged, changed by who has seen it, retired.

use reqwest::Method;
use serde_json::{Value, json};

use crate::shop::{ALICE, Call};

fn product(sku: &str, price: i64) -> Value {
    json!({"sku": sku, "name": "Brass lantern", "category": "lights", "description": "Burns oil.",
        "images": ["https://pictures.example/lantern.jpg"], "price_minor": price, "currency": "EUR"})
}

fn put(sku: &str, price: i64) -> Call {
    Call::new(Method::PUT, &format!("/v1/products/{sku}")).staff().json(&product(sku, price))
}

#[tokio::test]
async fn a_product_is_changed_by_who_has_seen_it() {
    put("lantern", 100).check(428, "precondition_required").await;
    put("lantern", 100).header("if-match", "\"1\"").check(412, "stale_version").await;
    let created = put("lantern", 100).header("if-none-match", "*").check(200, "").await;
    assert_eq!(created.header("etag"), Some("\"1\""));
    put("lantern", 100).header("if-none-match", "*").check(412, "stale_version").await;
    for tag in ["1", "\"x\"", "W/\"1\"", "\"1\", \"2\"", ""] {
        put("lantern", 150).header("if-match", tag).check(412, "stale_version").await;
    }
    let both = put("lantern", 150).header("if-match", "\"1\"").header("if-none-match", "*");
    both.check(412, "stale_version").await;
    let changed = put("lantern", 200).header("if-match", "\"1\"").check(200, "").await;
    assert_eq!(changed.header("etag"), Some("\"2\""));
    put("lantern", 300).header("if-match", "\"1\"").check(412, "stale_version").await;
    let get = Call::get("/v1/products/lantern");
    assert_eq!(
        get.check(200, "").await.json()["price"]["minor"],
        200,
        "the one who had not seen it changed nothing"
    );
    for known in ["\"2\"", "W/\"2\"", "\"1\", \"2\"", "*"] {
        let answer = get.clone().header("if-none-match", known).check(304, "").await;
        assert_eq!((&answer.text[..], answer.header("cache-control")), ("", Some("no-cache")), "{known}");
    }
    let two_lines = get.clone().header("if-none-match", "\"1\"").header("if-none-match", "\"2\"");
    two_lines.check(304, "").await;
    get.header("if-none-match", "\"1\"").check(200, "").await;
    put("lantern", 1).customer(ALICE).header("if-match", "\"2\"").check(403, "staff_only").await;
    let other = Call::new(Method::PUT, "/v1/products/torch").staff().json(&product("lantern", 5));
    other.header("if-none-match", "*").check(422, "invalid_body").await;
}

/// A repeat that comes late sells nothing again that was taken out of sale.
#[tokio::test]
async fn a_wish_for_products_is_done_once() {
    let put = |price: i64| {
        Call::post("/v1/products").staff().key("tents").json(&json!({"products": [product("tent", price)]}))
    };
    let first = put(100).check(200, "").await;
    assert_eq!(first.header("idempotent-replayed"), None);
    Call::post("/v1/products/tent/retire").staff().check(200, "").await;
    let again = put(100).check(200, "").await;
    assert_eq!((again.header("idempotent-replayed"), again.json()), (Some("true"), first.json()));
    assert_eq!(Call::get("/v1/products/tent").check(200, "").await.json()["retired"], true);
    put(200).check(422, "key_reused").await;
}

/// Who puts many at once overwrites nothing that somebody else changed meanwhile, and sells nothing again that was taken out of sale.
#[tokio::test]
async fn many_products_are_created_and_changed_by_who_has_seen_them() {
    let put = |key: &str, products: &[(&str, i64, Option<i64>)]| {
        let of = |(sku, price, version): &(&str, i64, Option<i64>)| {
            let mut product = product(sku, *price);
            product["version"] = json!(version);
            product
        };
        let products: Vec<Value> = products.iter().map(of).collect();
        Call::post("/v1/products").staff().key(key).json(&json!({ "products": products }))
    };
    put("ropes-1", &[("rope", 100, None), ("reel", 100, None)]).check(200, "").await;
    put("ropes-2", &[("rope", 100, None)]).check(200, "").await;
    for (key, seen) in [("ropes-3", None), ("ropes-4", Some(7))] {
        let refused = put(key, &[("buoy", 5, None), ("rope", 200, seen)]).check(409, "stale_version").await;
        assert!(
            refused.json()["detail"].as_str().expect("words").contains("product rope"),
            "{}",
            refused.text
        );
    }
    Call::get("/v1/products/buoy").check(404, "unknown_product").await;
    put("ropes-5", &[("buoy", 5, None), ("rope", 200, Some(1))]).check(200, "").await;
    Call::post("/v1/products/rope/retire").staff().check(200, "").await;
    put("ropes-6", &[("rope", 200, None)]).check(409, "stale_version").await;
    assert_eq!(Call::get("/v1/products/rope").check(200, "").await.json()["retired"], true);
    put("ropes-7", &[("rope", 200, Some(3))]).check(200, "").await;
    assert_eq!(Call::get("/v1/products/rope").check(200, "").await.json()["retired"], false);
    let alone = Call::new(Method::PUT, "/v1/products/rope").staff().header("if-match", "\"4\"");
    let mut with_version = product("rope", 300);
    with_version["version"] = json!(4);
    alone.json(&with_version).check(422, "invalid_body").await;
}

#[tokio::test]
async fn each_bad_product_has_its_problem() {
    let with = |field: &str, value: Value| {
        let mut product = product("bad", 100);
        product[field] = value;
        Call::post("/v1/products").staff().key("bad").json(&json!({"products": [product]}))
    };
    for (field, value) in [
        ("price_minor", json!(0)),
        ("price_minor", json!(-1)),
        ("price_minor", json!(10_000_000_001_i64)),
        ("price_minor", json!(1.5)),
        ("currency", json!("euro")),
        ("name", json!("")),
        ("name", json!("x".repeat(201))),
        ("name", json!("line\nbreak")),
        ("name", json!("Lantern \u{202e}nretnaL")),
        ("category", json!("lights\u{2066}")),
        ("description", json!("Burns\u{200b} oil.")),
        ("name", json!(" \u{2003} ")),
        ("category", json!("x".repeat(101))),
        ("category", json!(" ")),
        ("sku", json!("..")),
        ("description", json!("x".repeat(2_001))),
        ("images", json!(["http://pictures.example/a.jpg"])),
        ("images", json!(["javascript:alert(1)"])),
        ("images", json!(["https://user@pictures.example/a.jpg"])),
        ("images", json!(vec!["https://pictures.example/a.jpg"; 11])),
        ("sku", json!("a b")),
        ("colour", json!("red")),
    ] {
        with(field, value).check(422, "invalid_body").await;
    }
    with("currency", json!("USD")).check(422, "currency").await;
}

#[tokio::test]
async fn what_is_sold_is_found_and_what_is_retired_is_not() {
    put("compass", 900).header("if-none-match", "*").check(200, "").await;
    let found = async |query: &str| {
        let page = Call::get(&format!("/v1/products?{query}")).check(200, "").await.json();
        let products = page["products"].as_array().expect("products").clone();
        products.iter().any(|product| product["sku"] == "compass")
    };
    assert!(found("search=oil%20lantern&limit=200").await && found("category=lights&limit=200").await);
    for all in ["limit=200&search=", "limit=200&search=%20%20&category="] {
        assert!(found(all).await, "who looks for nothing is shown what there is: {all}");
    }
    for nothing in ["search=%21%21%20%26%20%7C", "search=submarine", "category=none"] {
        assert!(!found(nothing).await, "{nothing}");
    }
    let categories = Call::get("/v1/categories").check(200, "").await.json();
    assert!(
        categories["categories"].as_array().expect("all").iter().any(|category| category["name"] == "lights")
    );
    let stock = json!({"lines": [{"sku": "compass", "quantity": 5}]});
    Call::post("/v1/stock/receipts").staff().key("compasses").json(&stock).check(201, "").await;
    let order = |key: &str| {
        let body = json!({"lines": [{"sku": "compass", "quantity": 1}], "payment_method": "pm_card_visa"});
        Call::post("/v1/orders").customer(ALICE).key(key).json(&body)
    };
    let placed = order("a-compass").check(201, "").await.json();
    let retire = Call::post("/v1/products/compass/retire");
    retire.clone().customer(ALICE).check(403, "staff_only").await;
    for _ in 0..2 {
        assert_eq!(retire.clone().staff().check(200, "").await.json()["version"], 2);
    }
    Call::post("/v1/products/submarine/retire").staff().check(404, "unknown_product").await;
    assert!(!found("search=lantern&limit=200").await);
    assert_eq!(Call::get("/v1/products/compass").check(200, "").await.json()["retired"], true);
    order("another-compass").check(422, "retired_product").await;
    let id = placed["id"].as_str().expect("an id");
    let kept = Call::get(&format!("/v1/orders/{id}")).customer(ALICE).check(200, "").await.json();
    assert_eq!(kept["total"]["minor"], 900, "who had it already keeps it, at the price they were promised");
}

/// Whatever the locale of the database: case is nothing to a search, in any script.
#[tokio::test]
async fn what_is_sold_is_found_in_whatever_case() {
    let names = [
        ("x-apfel", "Äpfel aus Öhringen"),
        ("x-yabloko", "ЯБЛОКО красное"),
        ("x-mila", "ΜΗΛΑ"),
        ("x-incir", "İNCİR"),
        ("x-milk", "新鲜牛奶一升"),
    ];
    for (sku, name) in names {
        let body =
            json!({"sku": sku, "name": name, "category": "Früchte", "price_minor": 5, "currency": "EUR"});
        let put = Call::new(Method::PUT, &format!("/v1/products/{sku}")).staff().json(&body);
        put.header("if-none-match", "*").check(200, "").await;
    }
    for (sku, words) in [
        ("x-apfel", "äpfel"),
        ("x-apfel", "ÄPFEL öhringen"),
        ("x-apfel", "FRÜCHTE -яблоко"),
        ("x-yabloko", "яблоко КРАСНОЕ"),
        ("x-mila", "μηλα"),
        ("x-incir", "İNCİR"),
        ("x-milk", "牛奶"),
    ] {
        let query =
            reqwest::Url::parse_with_params("http://shop/v1/products", [("search", words)]).expect("a query");
        let page =
            Call::get(&format!("/v1/products?{}", query.query().expect("one"))).check(200, "").await.json();
        let found =
            page["products"].as_array().expect("products").iter().any(|product| product["sku"] == sku);
        assert!(found, "{words}: {page}");
    }
}
