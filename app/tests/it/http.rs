//! Bad input over HTTP: each case gets its status and a problem of its own type, and nothing is lost.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use uuid::Uuid;

use crate::shop::{ALICE, BOB, Call, shop};

/// A basket of one apple.
pub(crate) fn basket() -> Value {
    json!({"lines": [{"sku": "apple", "quantity": 1}], "payment_method": "pm_card_visa"})
}

fn lines(lines: &Value) -> String {
    json!({"lines": lines, "payment_method": "pm_card_visa"}).to_string()
}

fn place() -> Call {
    Call::post("/v1/orders").customer(ALICE)
}

#[tokio::test]
async fn each_bad_body_has_its_problem() {
    let line = |quantity: &str| {
        format!(r#"{{"lines":[{{"sku":"apple","quantity":{quantity}}}],"payment_method":"pm_card_visa"}}"#)
    };
    let many: Vec<Value> = (0..201).map(|n| json!({"sku": format!("s{n}"), "quantity": 1})).collect();
    let twice = json!([{"sku": "apple", "quantity": 1}, {"sku": "apple", "quantity": 2}]);
    let unknown_field = json!({"lines": [], "payment_method": "pm_card_visa", "colour": "red"}).to_string();
    let cases: Vec<(String, u16, &str)> = vec![
        (String::new(), 400, "malformed_json"),
        ("{".to_owned(), 400, "malformed_json"),
        (format!("{} x", basket()), 400, "malformed_json"),
        ("\u{0}".to_owned(), 400, "malformed_json"),
        ("[]".to_owned(), 422, "invalid_body"),
        (r#"[[{"sku":"apple","quantity":1}],"pm_card_visa"]"#.to_owned(), 422, "invalid_body"),
        (lines(&json!([["apple", 1]])), 422, "invalid_body"),
        ("null".to_owned(), 422, "invalid_body"),
        ("{}".to_owned(), 422, "invalid_body"),
        (r#"{"lines":"apple","payment_method":"pm_card_visa"}"#.to_owned(), 422, "invalid_body"),
        (r#"{"lines":[],"lines":[],"payment_method":"x"}"#.to_owned(), 422, "invalid_body"),
        (unknown_field, 422, "invalid_body"),
        (lines(&json!([{"sku": "apple", "quantity": 1, "colour": "red"}])), 422, "invalid_body"),
        (lines(&json!([])), 422, "invalid_body"),
        (lines(&json!(many)), 422, "invalid_body"),
        (lines(&twice), 422, "invalid_body"),
        (line("0"), 422, "invalid_body"),
        (line("-1"), 422, "invalid_body"),
        (line("1000001"), 422, "invalid_body"),
        (line("9223372036854775808"), 422, "invalid_body"),
        (line("1.5"), 422, "invalid_body"),
        // 120 minor units each: one more than a gateway takes.
        (line("833334"), 422, "price"),
        (line("1e999"), 400, "malformed_json"),
        (line("\"1\""), 422, "invalid_body"),
        (lines(&json!([{"sku": "an apple", "quantity": 1}])), 422, "invalid_body"),
        (lines(&json!([{"sku": "", "quantity": 1}])), 422, "invalid_body"),
        (lines(&json!([{"sku": "no-such", "quantity": 1}])), 422, "unknown_product"),
        (basket().to_string().replace("pm_card_visa", "4242 4242"), 422, "invalid_body"),
        (basket().to_string().replace("pm_card_visa", ""), 422, "invalid_body"),
    ];
    for (n, (body, status, problem)) in cases.iter().enumerate() {
        place().key(&format!("bad-body-{n}")).raw(body).check(*status, problem).await;
    }
}

#[tokio::test]
async fn the_admin_api_says_what_is_wrong_as_well() {
    let resolve = "/admin/orders/00000000-0000-0000-0000-000000000007/resolve";
    let admin = |call: Call| call.on_admin().staff();
    for (body, status, problem) in [
        ("{", 400, "malformed_json"),
        (r#"{"how":"retry"}"#, 422, "invalid_body"),
        (r#"["retry","why"]"#, 422, "invalid_body"),
    ] {
        admin(Call::post(resolve)).raw(body).check(status, problem).await;
    }
    admin(Call::post(resolve)).body("how=retry").check(415, "json_only").await;
    admin(Call::post(resolve)).raw(&" ".repeat(70_000)).check(413, "body_too_large").await;
    admin(Call::get(resolve)).check(405, "method_not_allowed").await;
    admin(Call::get("/admin/nowhere")).check(404, "no_such_path").await;
}

#[tokio::test]
async fn staff_bodies_are_checked_as_well() {
    let product =
        json!({"sku": "kiwi", "name": "Kiwi", "category": "fruit", "price_minor": 1, "currency": "EUR"});
    let with = |field: &str, value: Value| {
        let mut product = product.clone();
        product[field] = value;
        ("/v1/products", json!({"products": [product]}))
    };
    let cases = [
        ("/v1/products", json!({"products": []})),
        ("/v1/products", json!({"products": [product, product]})),
        with("price_minor", json!(0)),
        with("price_minor", json!(10_000_000_001_i64)),
        with("currency", json!("eur")),
        with("name", json!("")),
        with("name", json!("line\nbreak")),
        with("colour", json!("green")),
        ("/v1/stock/receipts", json!({"lines": []})),
        ("/v1/stock/receipts", json!({"lines": [{"sku": "apple", "quantity": 0}]})),
        ("/v1/stock/receipts", json!({"lines": [{"sku": "apple", "quantity": 1, "colour": "red"}]})),
        ("/v1/stock/receipts", json!({"lines": [{"sku": "apple", "quantity": 1}], "place": "The North"})),
    ];
    for (path, body) in &cases {
        Call::post(path).staff().key("bad").json(body).check(422, "invalid_body").await;
    }
    let repeat = |quantity: u32| json!({"lines": [{"sku": "pear", "quantity": quantity}]});
    let receive = Call::post("/v1/stock/receipts").staff().key("same");
    let first = receive.clone().json(&repeat(1)).check(201, "").await;
    let second = receive.clone().json(&repeat(1)).check(201, "").await;
    assert_eq!(
        (first.header("idempotent-replayed"), second.header("idempotent-replayed")),
        (None, Some("true"))
    );
    assert_eq!(
        (first.json(), second.json()),
        (repeat(1), repeat(1)),
        "a repeat is answered as the first was"
    );
    let mistyped = json!({"lines": [{"sku": "aple", "quantity": 1}]});
    Call::post("/v1/stock/receipts").staff().key("aple").json(&mistyped).check(422, "unknown_product").await;
    receive.json(&repeat(2)).check(422, "key_reused").await;
}

#[tokio::test]
async fn a_key_is_one_wish() {
    let with = |key: &str| place().key(key).json(&basket());
    place().json(&basket()).check(400, "idempotency_key_missing").await;
    with("").check(400, "idempotency_key_invalid").await;
    for wrong in [&*"k".repeat(256), "two words", "a\ttab"] {
        with(wrong).check(400, "idempotency_key_invalid").await;
    }
    with("one").key("two").check(400, "idempotency_key_invalid").await;
    let latin = place().header("idempotency-key", b"caf\xe9").json(&basket());
    latin.check(400, "idempotency_key_invalid").await;
    with(&"k".repeat(255)).check(201, "").await;

    let first = with("wish").check(201, "").await;
    assert_eq!(first.header("idempotent-replayed"), None);
    let again = with("wish").check(201, "").await;
    assert_eq!(again.header("idempotent-replayed"), Some("true"));
    assert_eq!(again.text, first.text, "the first answer again, byte for byte");
    let reordered = r#"{"payment_method":"pm_card_visa", "lines":[{"quantity":1,"sku":"apple"}]}"#;
    assert_eq!(place().key("wish").raw(reordered).check(201, "").await.text, first.text);
    let other = basket().to_string().replace("apple", "pear");
    place().key("wish").raw(&other).check(422, "key_reused").await;
    let bobs = Call::post("/v1/orders").customer(BOB).key("wish").json(&basket()).check(201, "").await;
    assert_ne!(bobs.json()["id"], first.json()["id"], "a key belongs to who uses it");
}

#[tokio::test]
async fn where_a_body_ends_too_soon_or_goes_wrong_is_said() {
    for (body, detail) in [
        ("{", "the body is not complete JSON: it ends at line 1, column 1"),
        ("{\"lines\": [\n  {\"sku\": \"app", "the body is not complete JSON: it ends at line 2, column 14"),
        ("", "the body is not complete JSON: it ends at line 1, column 0"),
        ("{nought}", "key must be a string at line 1 column 2"),
    ] {
        let refused = place().key("unsound").raw(body).check(400, "malformed_json").await.json();
        assert_eq!(refused["detail"], detail, "{body}");
    }
}

#[tokio::test]
async fn a_number_that_is_none_or_too_large_is_said_to_be() {
    let quantity = "lines[0].quantity: a quantity is a whole number, 1 to 1000000";
    for number in ["1e20", "1.5", "0", "-1", "1000001", "99999999999999999999", "9223372036854775808"] {
        let basket = basket().to_string().replace(":1", &format!(":{number}"));
        let refused = place().key("numbers").raw(&basket).check(422, "invalid_body").await.json();
        let detail = refused["detail"].as_str().expect("a detail").to_owned();
        assert!(detail.starts_with(quantity) && !detail.contains("float"), "{number}: {detail}");
    }
    for (number, detail) in [
        ("1e20", "by: 1e+20 is no whole number, or one that is too large"),
        ("{}", "by: invalid type: object, expected a whole number"),
        ("1.5", "by: 1.5 is no whole number, or one that is too large"),
        ("9223372036854775808", "by: 9223372036854775808 is too large"),
        ("\"1\"", "by: invalid type: string \"1\", expected a whole number"),
    ] {
        let body = format!(r#"{{"sku":"apple","by":{number},"reason":"looked"}}"#);
        let adjust = Call::post("/v1/stock/adjustments").staff().key("numbers").raw(&body);
        let refused = adjust.check(422, "invalid_body").await.json();
        assert!(refused["detail"].as_str().expect("a detail").starts_with(detail), "{number}: {refused}");
    }
}

#[tokio::test]
async fn a_key_in_flight_is_told_so_and_not_waited_for() {
    let shop = shop().await;
    let order = banyan_kernel::OrderId::derive(&format!("customer:{ALICE}"), "in-flight");
    let number = |text: &str| banyan_kernel::stable_hash(text.as_bytes()) as i32;
    let hold = "select pg_advisory_xact_lock($1, $2)";
    let mut holder = connect(&shop.database.superuser()).await;
    let mut transaction = banyan_store::sqlx::Connection::begin(&mut holder).await.expect("a transaction");
    banyan_store::sqlx::query(hold)
        .bind(number("orders/place"))
        .bind(number(&order.to_string()))
        .execute(&mut *transaction)
        .await
        .expect("the lock is free");
    let wish = place().key("in-flight").json(&basket());
    let refused = wish.check(409, "in_flight").await;
    assert!(refused.header("retry-after").is_some());
    transaction.rollback().await.expect("let go");
    let placed = wish.check(201, "").await;
    assert_eq!(placed.json()["id"], order.to_string());
    assert_eq!(placed.header("idempotent-replayed"), None, "a 409 is no answer to be repeated");
}

async fn connect(
    options: &banyan_store::sqlx::postgres::PgConnectOptions,
) -> banyan_store::sqlx::PgConnection {
    use banyan_store::sqlx::Connection;
    banyan_store::sqlx::PgConnection::connect_with(options).await.expect("a connection")
}

#[tokio::test]
async fn wrong_methods_paths_and_content_types() {
    let id = Uuid::from_u128(7);
    let delete = Call::new(Method::DELETE, "/v1/orders").customer(ALICE);
    let refused = delete.check(405, "method_not_allowed").await;
    assert!(refused.header("allow").is_some_and(|allow| allow.contains("POST")));
    for (method, path) in
        [(Method::PUT, format!("/v1/orders/{id}")), (Method::POST, "/v1/stock/x".to_owned())]
    {
        Call::new(method, &path).staff().check(405, "method_not_allowed").await;
    }
    for path in ["/v1", "/v2/orders", "/v1/orders/", "/admin/audit"] {
        Call::get(path).staff().check(404, "no_such_path").await;
    }
    for path in ["not-a-uuid", &id.to_string(), "%00", "a%2Fb"] {
        Call::get(&format!("/v1/orders/{path}")).staff().check(404, "unknown_order").await;
        Call::get(&format!("/v1/orders/{path}/events")).staff().check(404, "unknown_order").await;
    }
    Call::get("/v1/orders/%FF").staff().check(404, "no_such_path").await;
    Call::get("/v1/products/an%20apple").check(404, "unknown_product").await;
    Call::get("/v1/stock/no-such").staff().check(404, "unknown_product").await;
    let text = basket().to_string();
    place().key("type").body(&text).check(415, "json_only").await;
    place().key("type").header("content-type", "text/plain").body(&text).check(415, "json_only").await;
    for second in ["text/plain", "application/json"] {
        let twice = place().key("type").raw(&text).header("content-type", second);
        twice.check(400, "content_type_repeated").await;
    }
    place()
        .key("type")
        .header("content-type", "application/json; charset=utf-8")
        .body(&text)
        .check(201, "")
        .await;
}

#[tokio::test]
async fn a_body_has_at_most_64_kib() {
    let large = format!("{}{}", basket(), " ".repeat(64 * 1024));
    let told = talk(&head(&format!("content-length: {}", large.len())).await, "").await;
    assert_problem(&told, 413, "body_too_large");
    let chunk = format!("{:x}\r\n{large}\r\n", large.len());
    let told = talk(&head("transfer-encoding: chunked").await, &chunk).await;
    assert_problem(&told, 413, "body_too_large");
    place().key("large").raw(&format!("{}{}", basket(), " ".repeat(60 * 1024))).check(201, "").await;
}

#[tokio::test]
async fn a_slow_body_is_cut_even_when_it_drips() {
    let mut socket = TcpStream::connect(address().await).await.expect("the shop listens");
    socket.write_all(head("content-length: 1000").await.as_bytes()).await.expect("sent");
    let (mut answer, mut writer) = socket.split();
    let mut told = String::new();
    let read = answer.read_to_string(&mut told);
    let mut drip = tokio::time::interval(std::time::Duration::from_secs(1));
    let write = async {
        loop {
            drip.tick().await;
            // The shop may have hung up; its answer tells.
            if writer.write_all(b" ").await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        read = read => { read.ok(); }
        () = write => {}
    }
    assert_problem(&told, 408, "body_too_slow");
}

async fn address() -> String {
    shop().await.api.trim_start_matches("http://").to_owned()
}

async fn head(length: &str) -> String {
    let token = shop().await.customer(ALICE);
    format!(
        "POST /v1/orders HTTP/1.1\r\nhost: shop\r\nauthorization: Bearer {token}\r\nidempotency-key: raw\r\n\
         content-type: application/json\r\nconnection: close\r\n{length}\r\n\r\n"
    )
}

/// Says it over a plain connection and hears the shop out.
async fn talk(head: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(address().await).await.expect("the shop listens");
    socket.write_all(head.as_bytes()).await.expect("sent");
    socket.write_all(body.as_bytes()).await.expect("sent");
    let mut told = String::new();
    socket.read_to_string(&mut told).await.expect("an answer");
    told
}

fn assert_problem(told: &str, status: u16, code: &str) {
    assert!(told.starts_with(&format!("HTTP/1.1 {status} ")), "{told:?}");
    assert!(told.contains(&format!(r#""type":"/problems/{code}""#)), "{told:?}");
}

/// An event is kept for good, and so would a card's number be.
#[tokio::test]
async fn a_cards_number_is_refused_and_stands_in_no_event() {
    let basket = |method: &str| json!({"lines": [{"sku": "apple", "quantity": 1}], "payment_method": method});
    for number in [
        "4242424242424242",
        "4242-4242-4242-4242",
        "4242_4242_4242_4242",
        "378282246310005",
        "6304000000000000",
    ] {
        let refused = Call::post("/v1/orders").customer(ALICE).key(number).json(&basket(number));
        let refused = refused.check(422, "card_number").await;
        assert!(!refused.text.contains(number), "{}", refused.text);
    }
    for name in ["4242424242424241", "424242424242", "pm_4242424242424242"] {
        Call::post("/v1/orders").customer(ALICE).key(name).json(&basket(name)).check(201, "").await;
    }
}
