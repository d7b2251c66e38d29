//! Reading: pages, tags, streams.

use std::time::Duration;

use banyan_kernel::Role;
use futures::StreamExt;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    http::basket,
    shop::{ALICE, Answer, Call, shop, until},
};

const CAROL: Uuid = Uuid::from_u128(0xca401);
const DAVE: Uuid = Uuid::from_u128(0xda7e);
const ERIN: Uuid = Uuid::from_u128(0xe419);
const FAYE: Uuid = Uuid::from_u128(0xfa7e);
const GRACE: Uuid = Uuid::from_u128(0x94ace);

fn token_of(answer: &Answer) -> String {
    answer.header("consistency-token").expect("a write of an order says where it left it").to_owned()
}

/// The list, once it has come to what the call asks to see: another test may hold the horizon for longer than a call waits.
async fn shows(list: &Call) -> Value {
    let shop = shop().await;
    until("the list shows it", async || {
        let answer = list.send(shop).await;
        if answer.status == 412 { None } else { Some(answer.is(200).json()) }
    })
    .await
}

#[tokio::test]
async fn each_bad_query_has_its_problem() {
    for query in
        ["limit=0", "limit=201", "limit=-1", "limit=x", "limit=70000", "limit=1&limit=2", "colour=red"]
    {
        Call::get(&format!("/v1/orders?{query}")).customer(ALICE).check(400, "invalid_query").await;
        Call::get(&format!("/v1/products?{query}")).check(400, "invalid_query").await;
    }
    for query in [
        format!("search={}", "x".repeat(201)),
        format!("search={}", "x".repeat(10_000)),
        "search=%00".to_owned(),
    ] {
        Call::get(&format!("/v1/products?{query}")).check(400, "invalid_query").await;
    }
    for (query, detail) in [
        ("search=%00", "search has the character U+0000 in it, which no text has"),
        ("limit=1.5", "limit is no whole number, or one that is too large"),
        ("page=2", "there is no parameter `page`, expected one of `search`, `category`, `cursor`, `limit`"),
        ("limit=1&limit=2", "`limit` is there twice"),
        ("search=%FF%FE", "the parameters are no text in UTF-8"),
    ] {
        let refused = Call::get(&format!("/v1/products?{query}")).check(400, "invalid_query").await.json();
        assert_eq!(refused["detail"], detail);
    }
    for (query, detail) in [
        ("placed_from=yesterday", "placed_from is a moment as RFC 3339 has it, such as 2026-01-31T12:00:00Z"),
        (
            "placed_before=2026-13-01T00:00:00Z",
            "placed_before is a moment as RFC 3339 has it, such as 2026-01-31T12:00:00Z",
        ),
        ("customer=alice", "customer is a UUID"),
    ] {
        let refused =
            Call::get(&format!("/v1/orders?{query}")).staff().check(400, "invalid_query").await.json();
        assert_eq!(refused["detail"], detail);
    }
    for query in ["cursor=an%20apple", "cursor=", "search=apple&cursor=apple", "search=apple&cursor=3f80000"]
    {
        Call::get(&format!("/v1/products?{query}")).check(400, "invalid_cursor").await;
    }
    let id = Uuid::from_u128(1).simple();
    for cursor in ["", "x", "1.2", &format!("zz.{id}"), &format!("7fffffffffffffff.{id}"), &format!("-1{id}")]
    {
        let list = Call::get(&format!("/v1/orders?cursor={cursor}"));
        list.customer(ALICE).check(400, "invalid_cursor").await;
    }
}

/// The next of a list's first page.
async fn next_of(list: &Call) -> String {
    let shop = shop().await;
    let next = async || list.send(shop).await.is(200).json()["next"].as_str().map(str::to_owned);
    until("a second page", next).await
}

#[tokio::test]
async fn a_cursor_is_of_one_list_with_its_filters_and_unchanged() {
    for n in 0..2 {
        let place = Call::post("/v1/orders").customer(FAYE).key(&format!("sealed-{n}")).json(&basket());
        place.check(201, "").await;
    }
    for (path, other, who) in [
        (
            "/v1/products?limit=1",
            "/v1/products?limit=1&category=fruit",
            Call::customer as fn(Call, Uuid) -> Call,
        ),
        ("/v1/products?limit=1&search=fruit", "/v1/products?limit=1&search=apple", Call::customer),
        ("/v1/orders?limit=1", "/v1/orders?limit=1&sku=apple", Call::customer),
        ("/v1/orders?limit=1", "/v1/mails?limit=1", Call::customer),
        ("/v1/orders?limit=1", "/v1/orders?limit=1", |call, _| call.customer(ERIN)),
        ("/v1/orders?limit=1", "/v1/orders?limit=1", |call, _| call.staff()),
    ] {
        let next = next_of(&Call::get(path).customer(FAYE)).await;
        Call::get(&format!("{path}&cursor={next}")).customer(FAYE).check(200, "").await;
        let longer = path.replace("limit=1", "limit=7");
        Call::get(&format!("{longer}&cursor={next}")).customer(FAYE).check(200, "").await;
        let elsewhere = who(Call::get(&format!("{other}&cursor={next}")), FAYE);
        elsewhere.check(400, "invalid_cursor").await;
        // Each part of it counts: the place, and the seal on it.
        for at in [0, next.len() / 2, next.len() - 1] {
            let changed = if next.as_bytes()[at] == b'0' { "1" } else { "0" };
            let changed = format!("{}{changed}{}", &next[..at], &next[at + 1..]);
            let changed = Call::get(&format!("{path}&cursor={changed}")).customer(FAYE);
            changed.check(400, "invalid_cursor").await;
        }
    }
}

#[tokio::test]
async fn every_write_answers_a_token_that_reads_take_and_what_is_none_is_refused() {
    let product =
        json!({"sku": "astrolabe", "name": "Astrolabe", "category": "", "price_minor": 5, "currency": "EUR"});
    let put = Call::new(reqwest::Method::PUT, "/v1/products/astrolabe").staff().header("if-none-match", "*");
    let put = put.json(&product).check(200, "").await;
    assert_eq!(token_of(&put), "catalog/astrolabe/1");
    let dearer = json!({"products": [{"sku": "astrolabe", "name": "Astrolabe", "category": "", "price_minor": 6, "currency": "EUR", "version": 1}]});
    let dearer = Call::post("/v1/products").staff().key("dearer").json(&dearer).check(200, "").await;
    let show = Call::get("/v1/products/astrolabe");
    for token in [token_of(&put), token_of(&dearer)] {
        let shown = show.clone().header("consistency-token", token).check(200, "").await.json();
        assert_eq!(shown["version"], 2);
    }
    show.header("consistency-token", "catalog/astrolabe/9999").check(412, "read_model_behind").await;
    let lines = json!({"lines": [{"sku": "astrolabe", "quantity": 9}]});
    let received =
        Call::post("/v1/stock/receipts").staff().key("astrolabes").json(&lines).check(201, "").await;
    let count = Call::get("/v1/products/astrolabe/availability");
    let counted = shows(&count.clone().header("consistency-token", token_of(&received))).await;
    assert_eq!(counted["available"], 9);
    let lost = json!({"sku": "astrolabe", "by": -2, "reason": "lost"});
    let lost = Call::post("/v1/stock/adjustments").staff().key("astrolabes").json(&lost).check(201, "").await;
    let both = format!("{},{}", token_of(&received), token_of(&lost));
    assert_eq!(shows(&count.clone().header("consistency-token", both)).await["available"], 7);
    let (parts, _) = (token_of(&lost), ());
    let (subject, _) = parts.rsplit_once('/').expect("a sequence");
    count
        .header("consistency-token", format!("{subject}/999999999999"))
        .check(412, "read_model_behind")
        .await;
    let contact = json!({"name": "Faye", "email": "faye@example.org", "address": {"street": "Ring 1", "postcode": "1010", "city": "Wien", "country": "AT"}});
    let me = Call::new(reqwest::Method::PUT, "/v1/customers/me")
        .customer(FAYE)
        .json(&contact)
        .check(200, "")
        .await;
    let me = Call::get("/v1/customers/me").customer(FAYE).header("consistency-token", token_of(&me));
    assert_eq!(me.check(200, "").await.json()["name"], "Faye");
    let gone = Call::new(reqwest::Method::DELETE, "/v1/customers/me").customer(FAYE).check(204, "").await;
    let me = Call::get("/v1/customers/me").customer(FAYE).header("consistency-token", token_of(&gone));
    me.check(404, "unknown_customer").await;
    for path in
        ["/v1/products", "/v1/categories", "/v1/stock/apple", "/v1/stock/apple/movements", "/v1/sales"]
    {
        let read = Call::get(path).staff();
        read.clone().header("consistency-token", token_of(&lost)).check(200, "").await;
        read.header("consistency-token", "inventory/1").check(400, "consistency_token_invalid").await;
    }
}

/// A mail is made of what orders tell, a moment after the order was taken: who asks with the token of the write reads it all the same.
#[tokio::test]
async fn who_writes_reads_the_mails_that_it_makes() {
    let mailbox = Call::get("/v1/mails?limit=200").customer(GRACE);
    for n in 0..10 {
        let place = Call::post("/v1/orders").customer(GRACE).key(&format!("told-{n}")).json(&basket());
        let placed = place.check(201, "").await;
        let (id, token) = (placed.json()["id"].clone(), token_of(&placed));
        let told = shows(&mailbox.clone().header("consistency-token", &token)).await;
        let told = told["mails"].as_array().expect("mails").iter().filter(|mail| mail["order"] == id);
        assert!(told.clone().any(|mail| mail["kind"] == "confirmed"), "{token}: {told:?}");
        let id = id.as_str().expect("an id");
        let mail = Call::get(&format!("/v1/mails/{id}.confirmed.0")).customer(GRACE);
        shows(&mail.header("consistency-token", &token)).await;
        let by_staff = Call::get(&format!("/v1/customers/{GRACE}/mails")).staff();
        shows(&by_staff.header("consistency-token", &token)).await;
        let made_up = format!("orders/{id}/9999");
        for read in [
            mailbox.clone(),
            Call::get(&format!("/v1/mails/{id}.confirmed.0")).customer(GRACE),
            Call::get(&format!("/v1/customers/{GRACE}/mails")).staff(),
            Call::get(&format!("/v1/orders/{id}")).customer(GRACE),
        ] {
            read.header("consistency-token", &made_up).check(412, "read_model_behind").await;
        }
        let foreign = Call::get("/v1/mails").customer(DAVE).header("consistency-token", &token);
        foreign.check(412, "read_model_behind").await;
    }
}

#[tokio::test]
async fn pages_follow_each_other() {
    let mut tokens = Vec::new();
    for n in 0..5 {
        let placed = Call::post("/v1/orders").customer(CAROL).key(&format!("page-{n}")).json(&basket());
        tokens.push(token_of(&placed.check(201, "").await));
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let list = Call::get(&format!("/v1/orders?limit=2&placed_before=2100-01-01T00:00:00Z{cursor}"))
            .customer(CAROL);
        let page = shows(&list.header("consistency-token", tokens.join(", "))).await;
        let ids = page["orders"].as_array().expect("orders").iter();
        seen.extend(ids.map(|order| order["id"].as_str().expect("an id").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let unique: std::collections::BTreeSet<&String> = seen.iter().collect();
    assert_eq!((seen.len(), unique.len()), (5, 5));
}

#[tokio::test]
async fn who_writes_reads_it_in_the_list_with_the_token_of_the_write() {
    let placed = Call::post("/v1/orders").customer(DAVE).key("mine").json(&basket()).check(201, "").await;
    let id = placed.json()["id"].as_str().expect("an id").to_owned();
    let token = token_of(&placed);
    assert_eq!(token, format!("orders/{id}/1"));
    let again = Call::post("/v1/orders").customer(DAVE).key("mine").json(&basket()).check(201, "").await;
    assert_eq!(token_of(&again), token, "the first answer, whole");
    let list = Call::get("/v1/orders").customer(DAVE);
    let listed = shows(&list.clone().header("consistency-token", &token)).await;
    assert_eq!(listed["orders"][0]["id"], id.as_str());
    // Refused or undone in time, or handed over before: either way its end comes to the list.
    let cancel =
        Call::post(&format!("/v1/orders/{id}/cancel")).customer(DAVE).json(&json!({"reason": "why"}));
    let cancelled = cancel.send(shop().await).await;
    if cancelled.status == 200 {
        let token = token_of(&cancelled);
        let listed = shows(&list.clone().header("consistency-token", &token)).await;
        let state = listed["orders"][0]["state"].as_str().expect("a state").to_owned();
        assert!(["cancelling", "cancelled"].contains(&state.as_str()), "{state}");
    }
    let never = list.clone().header("consistency-token", format!("orders/{id}/999"));
    never.check(412, "read_model_behind").await;
    for wrong in ["", "x", "orders/1/1", &format!("stock/{id}/1"), &vec![token.as_str(); 17].join(",")] {
        let wrong = list.clone().header("consistency-token", wrong);
        wrong.check(400, "consistency_token_invalid").await;
    }
}

#[tokio::test]
async fn staff_search_orders_and_customers_their_own() {
    let placed = Call::post("/v1/orders").customer(ERIN).key("found").json(&basket()).check(201, "").await;
    let (id, token) = (placed.json()["id"].clone(), token_of(&placed));
    let at = placed.json()["placed_at"].as_str().expect("a time").to_owned();
    let found = async |query: String| {
        let list = Call::get(&format!("/v1/orders?{query}")).staff().header("consistency-token", &token);
        shows(&list).await["orders"].as_array().expect("orders").clone()
    };
    for query in [
        format!("customer={ERIN}"),
        format!("customer={ERIN}&placed_before=2100-01-01T00:00:00Z"),
        format!("customer={ERIN}&sku=apple"),
        format!("customer={ERIN}&placed_from={at}"),
        format!("customer={ERIN}&limit=1"),
    ] {
        let orders = found(query.clone()).await;
        assert!(orders.len() == 1 && orders[0]["id"] == id, "{query}: {orders:?}");
        assert_eq!(orders[0]["customer"], ERIN.to_string());
    }
    for query in [
        format!("customer={ERIN}&sku=nobody-sells-it"),
        format!("customer={ERIN}&state=stuck"),
        format!("customer={ERIN}&cause=out_of_stock"),
        format!("customer={ERIN}&placed_before={at}"),
        format!("customer={}", Uuid::from_u128(7)),
    ] {
        assert_eq!(found(query.clone()).await, [] as [Value; 0], "{query}");
    }
    Call::get(&format!("/v1/orders?customer={ERIN}")).customer(ERIN).check(200, "").await;
    Call::get(&format!("/v1/orders?customer={ALICE}")).customer(ERIN).check(403, "own_orders_only").await;
    for query in ["customer=me", "state=lost", "cause=Out", "cause=", "sku=%20", "placed_from=today"] {
        Call::get(&format!("/v1/orders?{query}")).staff().check(400, "invalid_query").await;
    }
}

#[tokio::test]
async fn what_was_handed_over_is_in_the_sales() {
    Call::post("/v1/orders").customer(ALICE).key("sold").json(&basket()).check(201, "").await;
    let sales = until("the sales have it", async || {
        let page = Call::get("/v1/sales?sku=apple&limit=200").staff().check(200, "").await.json();
        page["sales"][0]["orders"].as_i64().is_some_and(|orders| orders > 0).then_some(page)
    });
    let first = sales.await["sales"][0].clone();
    assert_eq!((&first["sku"], &first["currency"]), (&json!("apple"), &json!("EUR")));
    assert!(first["pieces"].as_i64() >= first["orders"].as_i64() && first["amount_minor"].as_i64() > Some(0));
    let (mut lines, mut cursor) = (0, String::new());
    loop {
        let page = Call::get(&format!("/v1/sales?limit=1{cursor}")).staff().check(200, "").await.json();
        lines += page["sales"].as_array().expect("sales").len();
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert!(lines > 0);
    Call::get("/v1/sales").customer(ERIN).check(403, "staff_only").await;
    Call::get("/v1/sales").check(401, "token_missing").await;
    for query in ["sku=%20", "from=today", "limit=0", "colour=red"] {
        Call::get(&format!("/v1/sales?{query}")).staff().check(400, "invalid_query").await;
    }
    for cursor in ["x", "1.2", "zz.41.455552", "1.41.4555", "1.20.455552"] {
        Call::get(&format!("/v1/sales?cursor={cursor}")).staff().check(400, "invalid_cursor").await;
    }
}

#[tokio::test]
async fn an_order_is_followed_to_its_end_and_then_not_sent_again() {
    let placed = Call::post("/v1/orders").customer(ALICE).key("follow").json(&basket()).check(201, "").await;
    let path = format!("/v1/orders/{}", placed.json()["id"].as_str().expect("an id"));
    let events = follow(&format!("{path}/events"), None).await;
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().expect("a type")).collect();
    assert_eq!(kinds.first(), Some(&"OrderCreated"));
    assert_eq!(kinds.last(), Some(&"OrderShipped"));
    let versions: Vec<i64> =
        events.iter().map(|event| event["version"].as_i64().expect("a version")).collect();
    assert_eq!(versions, (1..=versions.len() as i64).collect::<Vec<_>>());
    let rest = follow(&format!("{path}/events"), Some("3")).await;
    assert_eq!(rest[..], events[3..], "Last-Event-ID goes on after that event");
    let last = versions.len().to_string();
    assert_eq!(follow(&format!("{path}/events"), Some(&last)).await, [] as [Value; 0], "it ends at once");
    let list = Call::get(&format!("{path}/events")).customer(ALICE).check(200, "").await.json();
    assert_eq!(list.as_array(), Some(&events), "the list and the stream tell the same");

    let order = Call::get(&path).customer(ALICE).check(200, "").await;
    assert_eq!(order.json()["state"], "shipped");
    let tag = order.header("etag").expect("a tag").to_owned();
    for known in [&*tag, &format!("W/{tag}"), &format!("\"0\", {tag}"), "*"] {
        let known = Call::get(&path).customer(ALICE).header("if-none-match", known).check(304, "").await;
        assert_eq!((&known.text[..], known.header("cache-control")), ("", Some("private, no-cache")));
    }
    Call::get(&path).customer(ALICE).header("if-none-match", "\"0\"").check(200, "").await;
    let late = Call::post(&format!("{path}/cancel")).customer(ALICE).raw(r#"{"reason":"too late"}"#);
    late.check(410, "already_shipped").await;
}

/// All server-sent events until the shop ends the stream.
async fn follow(path: &str, after: Option<&str>) -> Vec<Value> {
    let call = Call::get(path).customer(ALICE).header("accept", "text/event-stream");
    let call = after.map_or(call.clone(), |after| call.header("last-event-id", after));
    let answer = call.request(shop().await).send().await.expect("an answer");
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut stream = answer.bytes_stream();
    let mut text = String::new();
    while let Some(bytes) = stream.next().await {
        text.push_str(&String::from_utf8_lossy(&bytes.expect("the stream holds")));
    }
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.map(|data| serde_json::from_str(data).expect("an event")).collect()
}

#[tokio::test]
async fn a_clients_trace_is_the_orders_and_a_bad_one_is_ignored() {
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let place = |key: &str, header: &str| {
        Call::post("/v1/orders").customer(ALICE).key(key).header("traceparent", header).json(&basket())
    };
    for (key, header, carried) in [
        ("traced", format!("00-{trace}-00f067aa0ba902b7-01"), true),
        ("badly-traced", format!("00-{trace}-0000000000000000-01"), false),
    ] {
        let placed = place(key, &header).check(201, "").await.json();
        let path = format!("/v1/orders/{}", placed["id"].as_str().expect("an id"));
        let order = Call::get(&path).customer(ALICE).check(200, "").await.json();
        assert_eq!(order["correlation"] == trace, carried, "{order}");
    }
}

#[tokio::test]
async fn the_page_and_health_need_no_token() {
    let page = Call::get("/").check(200, "").await;
    assert!(
        page.header("content-security-policy").is_some_and(|policy| policy.contains("default-src 'none'"))
    );
    let icon = Call::get("/favicon.ico").check(200, "").await;
    assert_eq!(icon.header("content-type"), Some("image/svg+xml"), "each browser asks for one");
    Call::get("/health/live").check(200, "").await;
    Call::get("/health/ready").check(200, "").await;
}

/// The files are in the binary: nothing is fetched from elsewhere, and nothing from elsewhere runs.
#[tokio::test]
async fn the_documents_page_comes_whole_from_here() {
    let shop = shop().await;
    let page = Call::get("/docs").request(shop).send().await.expect("a page");
    let policy = page.headers()["content-security-policy"].to_str().expect("a text").to_owned();
    assert!(policy.starts_with("default-src 'self'"), "{policy}");
    let html = page.text().await.expect("a text");
    let links: Vec<&str> = html.split(['"']).filter(|part| part.starts_with("/docs/")).collect();
    assert!(links.len() >= 3, "{html}");
    for link in links {
        let file = Call::get(link).request(shop).send().await.expect("a file");
        assert_eq!(file.status(), 200, "{link}");
        assert!(!file.bytes().await.expect("bytes").is_empty(), "{link}");
    }
    let missing = Call::get("/docs/passwd").request(shop).send().await.expect("an answer");
    assert_eq!(missing.status(), 404);
}

/// A stream is a request that goes on, and no longer than its asker may ask.
#[tokio::test]
async fn a_stream_ends_with_the_token_that_opened_it() {
    let slow = json!({"lines": [{"sku": "apple", "quantity": 1}], "payment_method": "pm_sandbox_slow"});
    let placed = Call::post("/v1/orders").customer(DAVE).key("streamed").json(&slow).check(201, "").await;
    let shop = shop().await;
    let dave = crate::shop::mint(shop.keys(), Role::Customer, &DAVE.to_string(), Duration::from_secs(4));
    let path = format!("/v1/orders/{}/events", placed.json()["id"].as_str().expect("an id"));
    let stream =
        Call::get(&path).authorization(&format!("Bearer {dave}")).header("accept", "text/event-stream");
    let told = tokio::time::timeout(Duration::from_secs(60), stream.send(shop)).await;
    let told = told.expect("the stream ends").is(200).text;
    // Its card takes 12 s to say anything.
    assert!(!told.contains("OrderShipped") && !told.contains("OrderCancelled"), "before its order: {told}");
}
