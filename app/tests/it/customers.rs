//! A person, over HTTP: says how they are reached, reads what they were told, and is forgotten.

use std::{fs, path::Path};

use banyan_kernel::Role;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use crate::{
    http::basket,
    shop::{ALICE, BOB, Call, shop, until},
};

/// Somebody who is told of in one test alone.
const EVE: Uuid = Uuid::from_u128(0xe5e);
/// In no other test, no code and no migration.
const NEEDLES: [&str; 3] = ["Xanthippe", "xq7-forgettable", "Vergessgasse"];

fn contact(name: &str, email: &str, street: &str) -> Value {
    json!({"name": name, "email": email, "language": "de", "unwanted": ["delayed"],
        "address": {"street": street, "postcode": "1010", "city": "Wien", "country": "AT"}})
}

fn put_me(contact: &Value) -> Call {
    Call::new(Method::PUT, "/v1/customers/me").json(contact)
}

#[tokio::test]
async fn how_one_is_reached_is_for_oneself_and_for_staff() {
    let alice = contact("Alice", "alice@example.org", "Ring 1");
    Call::get("/v1/customers/me").staff().check(403, "customers_only").await;
    put_me(&alice).customer(ALICE).check(200, "").await;
    assert_eq!(Call::get("/v1/customers/me").customer(ALICE).check(200, "").await.json(), alice);
    let by_id = Call::get(&format!("/v1/customers/{ALICE}"));
    by_id.clone().customer(BOB).check(403, "staff_only").await;
    by_id.clone().customer(ALICE).check(403, "staff_only").await;
    assert_eq!(by_id.staff().check(200, "").await.json(), alice);
    Call::get("/v1/customers/nobody").staff().check(404, "unknown_customer").await;
    for (pointer, value, named) in [
        ("/email", "alice", "email: "),
        ("/email", "ali\u{202e}ce@example.org", "email: "),
        ("/name", "Alice \u{202e}ecilA", "name has none but characters that can be seen, and not U+202E"),
        ("/name", "", "name has 1 to 100"),
        ("/address/street", "Ring\u{2066} 1", "address.street has none"),
        ("/address/city", "Wien\n", "address.city has none"),
        ("/address/postcode", "\u{200b}1010", "address.postcode has none"),
        ("/address/country", "XX", "address.country: "),
        ("/address/country", "at", "address.country: "),
    ] {
        let mut bad = alice.clone();
        *bad.pointer_mut(pointer).expect("a field") = json!(value);
        let refused = put_me(&bad).customer(ALICE).check(422, "invalid_contact").await.json();
        assert!(refused["detail"].as_str().expect("a detail").starts_with(named), "{refused}");
    }
    for (field, value) in [
        ("name", json!(7)),
        ("email", json!(null)),
        ("address", json!("Ring 1")),
        ("colour", json!("red")),
        ("language", json!("klingon")),
        ("unwanted", json!(["spam"])),
    ] {
        let mut bad = alice.clone();
        bad[field] = value;
        put_me(&bad).customer(ALICE).check(422, "invalid_body").await;
    }
}

#[tokio::test]
async fn what_was_told_is_read_by_whom_it_was_told() {
    let placed =
        Call::post("/v1/orders").customer(BOB).key("mails").json(&basket()).check(201, "").await.json();
    let order = placed["id"].as_str().expect("an id").to_owned();
    let told = async || {
        let mails = Call::get("/v1/mails?limit=200").customer(BOB).send(shop().await).await.is(200).json();
        let of_it = mails["mails"].as_array().expect("mails").iter().filter(|mail| mail["order"] == *order);
        // And of its arrival, if it has arrived by now: by another consumer, which may be first.
        let kinds: Vec<&str> = of_it.filter_map(|mail| mail["kind"].as_str()).collect();
        ["confirmed", "shipped"].iter().all(|kind| kinds.contains(kind)).then_some(())
    };
    until("the customer to be told of both, the beginning and the end", told).await;
    let path = format!("/v1/mails/{order}.shipped.0");
    let mail = Call::get(&path).customer(BOB).check(200, "").await.json();
    assert!(mail["text"].as_str().expect("a text").starts_with("Dear customer,"), "{mail}");
    let html = Call::get(&path).customer(BOB).header("accept", "text/html").check(200, "").await;
    assert!(html.text.starts_with("<!doctype html>") && html.header("content-security-policy").is_some());
    let text = Call::get(&path).customer(BOB).header("accept", "text/plain").check(200, "").await;
    assert_eq!(mail["text"], text.text);
    Call::get(&path).customer(ALICE).check(404, "unknown_mail").await;
    Call::get(&format!("/v1/mails/{order}.refunded.0")).customer(BOB).check(404, "unknown_mail").await;
    Call::get("/v1/mails/x").customer(BOB).check(404, "unknown_mail").await;
    Call::get(&path).staff().check(200, "").await;
    let service = format!("Bearer {}", shop().await.token(Role::Service, "reports"));
    for path in [&*path, &format!("/v1/customers/{BOB}/mails"), &format!("/v1/customers/{BOB}")] {
        Call::get(path).authorization(&service).check(403, "staff_only").await;
    }
    Call::get("/v1/mails").staff().check(403, "customers_only").await;
    Call::get(&format!("/v1/customers/{BOB}/mails")).customer(ALICE).check(403, "staff_only").await;
    Call::get("/v1/customers/x/mails").staff().check(404, "unknown_customer").await;
    let first = Call::get(&format!("/v1/customers/{BOB}/mails?limit=1")).staff().check(200, "").await.json();
    let next = first["next"].as_str().expect("there are more");
    let second =
        Call::get(&format!("/v1/mails?limit=1&cursor={next}")).customer(BOB).check(200, "").await.json();
    assert_ne!(first["mails"][0]["id"], second["mails"][0]["id"]);
    for cursor in ["x", "1.x", &format!("zz.{order}.shipped.0"), &next[..next.len() - 1]] {
        Call::get(&format!("/v1/mails?cursor={cursor}")).customer(BOB).check(400, "invalid_cursor").await;
    }
}

/// Every table of every module, the outside's book, the log, the traces: none of the words is left anywhere.
#[tokio::test]
async fn who_is_forgotten_is_found_nowhere_and_the_books_stay_whole() {
    let [name, address, street] = NEEDLES;
    let eve = contact(name, &format!("{address}@example.org"), street);
    put_me(&eve).customer(EVE).check(200, "").await;
    let placed =
        Call::post("/v1/orders").customer(EVE).key("forgotten").json(&basket()).check(201, "").await.json();
    let order = placed["id"].as_str().expect("an id").to_owned();
    let mail = Call::get(&format!("/v1/mails/{order}.shipped.0")).customer(EVE);
    let told = async || (mail.send(shop().await).await.status == 200).then_some(());
    until("the order to be shipped and told", told).await;
    let traced = async || (!shop().await.traces.tree(&order.replace('-', "")).0.is_empty()).then_some(());
    until("the order to be traced", traced).await;
    assert!(mail.check(200, "").await.text.contains(name));
    assert!(!found().await.is_empty(), "the search finds what is there");
    Call::post(&format!("/admin/customers/{EVE}/forget"))
        .on_admin()
        .customer(ALICE)
        .check(403, "staff_only")
        .await;
    let forget = async || {
        let output = shop().await.banyan(&["forget", &EVE.to_string(), "--reason", "case 7"]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(forget().await.starts_with("forgotten"));
    assert!(forget().await.starts_with("nothing was known"));
    assert_eq!(found().await, [""; 0]);
    assert!(mail.check(200, "").await.text.contains("Dear customer,"));
    Call::get("/v1/customers/me").customer(EVE).check(404, "unknown_customer").await;
    let events = Call::get(&format!("/v1/orders/{order}/events")).customer(EVE).check(200, "").await.json();
    assert!(events.as_array().expect("events").len() >= 7, "the history stays");
    put_me(&eve).customer(EVE).check(200, "").await;
    Call::new(Method::DELETE, "/v1/customers/me").customer(EVE).check(204, "").await;
    assert_eq!(found().await, [""; 0], "and by themselves as well");
    let audit: Value = Call::post("/admin/audit").on_admin().staff().check(200, "").await.json();
    let chain = audit["checks"].as_array().expect("checks").iter().find(|check| check["name"] == "chain");
    assert_eq!(chain.expect("the chain")["violations"], 0);
}

/// Where any of the words is found: tables of all schemas, the data folder with the outside's book and the log.
async fn found() -> Vec<String> {
    let shop = shop().await;
    let pool = shop.database.superuser_pool().await;
    let tables: Vec<String> = sqlx::query_scalar(
        "select format('%I.%I', schemaname, tablename) from pg_tables \
         where schemaname not in ('pg_catalog', 'information_schema')",
    )
    .fetch_all(&pool)
    .await
    .expect("tables");
    assert!(tables.len() > 40, "{} tables", tables.len());
    let mut found = Vec::new();
    for table in tables {
        let find = format!("select count(*) from {table} t where t::text ilike any($1)");
        let needles = NEEDLES.map(|needle| format!("%{needle}%"));
        let rows: i64 =
            sqlx::query_scalar(AssertSqlSafe(find)).bind(&needles[..]).fetch_one(&pool).await.expect("rows");
        if rows > 0 {
            found.push(table);
        }
    }
    files(&shop.data, &mut found);
    let traces = format!("{:?}", shop.traces.spans()).to_lowercase();
    found.extend(
        NEEDLES
            .iter()
            .filter(|needle| traces.contains(&needle.to_lowercase()))
            .map(|needle| format!("the traces: {needle}")),
    );
    found
}

fn files(folder: &Path, found: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, found);
        } else if let Ok(bytes) = fs::read(&path) {
            let text = String::from_utf8_lossy(&bytes).to_lowercase();
            if NEEDLES.iter().any(|needle| text.contains(&needle.to_lowercase())) {
                found.push(path.display().to_string());
            }
        }
    }
}
