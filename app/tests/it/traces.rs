//! What a collector receives of a running shop: one order is one tree, and nothing in it is about a person.

use std::fs;

use banyan_host::testing::{Span, Tree};
use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::{
    http::basket,
    shop::{ALICE, Call, Shop, shop, until},
};

/// Of one test alone.
const CAROL: Uuid = Uuid::from_u128(0xca401);
/// What each order does that is shipped and told of.
const OF_AN_ORDER: [&str; 14] = [
    "POST /v1/orders",
    "place order",
    "reserve",
    "authorise",
    "gateway authorise",
    "confirm",
    "book",
    "carrier book",
    "capture",
    "gateway capture",
    "inventory.orders hears OrderShipped",
    "shipping.orders hears OrderShipped",
    "notifications.orders hears OrderCreated",
    "notifications.orders hears OrderShipped",
];

async fn placed(call: Call) -> String {
    placed_with(call, &basket()).await
}

async fn placed_with(call: Call, basket: &Value) -> String {
    let call = call.json(basket);
    let taken = async || {
        let answer = call.send(shop().await).await;
        // Not now, says a shop on a busy machine: the same is asked again.
        (answer.status != 503).then_some(answer)
    };
    let answer = until("the order to be taken", taken).await.is(201).json();
    answer["id"].as_str().expect("an id").to_owned()
}

fn order(key: &str) -> Call {
    Call::post("/v1/orders").customer(CAROL).key(key)
}

async fn is_shipped(order: &str) -> Option<()> {
    let order = Call::get(&format!("/v1/orders/{order}")).staff().send(shop().await).await.json();
    (order["state"] == "shipped").then_some(())
}

/// An order's trace begins with the order, unless its customer began it.
fn trace_of(order: &str) -> String {
    order.replace('-', "")
}

/// The order's tree, once it has everything that is awaited.
async fn tree(shop: &Shop, trace: &str, names: &[&str]) -> Tree {
    let seen = || shop.traces.tree(trace);
    let whole = async || {
        let tree = seen();
        let missing = names.iter().any(|name| !tree.names().contains(name));
        (!missing).then_some(tree)
    };
    let told =
        tokio::time::timeout(std::time::Duration::from_secs(25), until("all of the tree", whole)).await;
    told.unwrap_or_else(|_| panic!("not all of {names:?} in:\n{}", seen().text()))
}

fn named<'a>(tree: &'a Tree, name: &str) -> Vec<&'a Span> {
    tree.0.iter().filter(|span| span.name == name).collect()
}

fn parent<'a>(tree: &'a Tree, name: &str) -> &'a str {
    let span = named(tree, name)[0];
    tree.0.iter().find(|above| above.id == span.parent).map_or("", |above| above.name.as_str())
}

/// Nobody listens there: what is not taken is told of as well.
#[tokio::test]
async fn a_mail_that_is_sent_is_a_call_of_its_order_and_an_admin_call_has_a_span() {
    let mails = [("BANYAN_SMTP_URL", "smtp://127.0.0.1:1"), ("BANYAN_MAIL_FROM", "Shop <shop@example.org>")];
    let shop = Shop::open(&mails).await;
    let address = json!({"street": "Ring 1", "postcode": "1010", "city": "Wien", "country": "AT"});
    let contact = json!({"name": "Carol", "email": "carol@example.org", "address": address});
    let me = Call::new(reqwest::Method::PUT, "/v1/customers/me").customer(CAROL).json(&contact);
    me.send(&shop).await.is(200);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4737";
    let place = order("mailed").header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    place.json(&basket()).send(&shop).await.is(201);
    let tree = tree(&shop, trace, &["smtp send"]).await;
    assert_eq!(parent(&tree, "smtp send"), "place order", "{}", tree.text());
    let sent = named(&tree, "smtp send")[0];
    assert_eq!((sent.kind, sent.attributes["banyan.outcome"].as_str()), ("client", "later"));
    assert!(!format!("{sent:?}").contains("carol@"), "{sent:?}");
    Call::post("/admin/audit").on_admin().staff().send(&shop).await.is(200);
    let told = async || shop.traces.spans().iter().any(|span| span.name == "POST /admin/audit").then_some(());
    until("the admin call's span", told).await;
}

#[tokio::test]
async fn one_order_is_one_tree_from_the_request_to_the_last_delivery() {
    let id = placed(order("a-tree")).await;
    let tree = tree(shop().await, &trace_of(&id), &OF_AN_ORDER).await;
    assert!(tree.is_whole(), "{}", tree.text());
    for (below, above) in [
        ("place order", "POST /v1/orders"),
        ("reserve", "place order"),
        ("capture", "place order"),
        ("gateway authorise", "authorise"),
        ("carrier book", "book"),
        ("gateway capture", "capture"),
        ("inventory.orders hears OrderShipped", "place order"),
    ] {
        assert_eq!(parent(&tree, below), above, "{}", tree.text());
    }
    let modules = tree.values("banyan.module");
    assert_eq!(
        modules.into_iter().collect::<Vec<_>>(),
        ["inventory", "notifications", "orders", "payments", "shipping"]
    );
    assert_eq!(tree.values("banyan.order").into_iter().collect::<Vec<_>>(), [id.as_str()]);
    let root = tree.roots()[0];
    assert_eq!((root.kind, root.attributes["http.response.status_code"].as_str()), ("server", "201"));
    assert_eq!(root.resource["service.name"], "banyan");
    assert!(tree.0.iter().all(|span| span.ended_ns >= span.began_ns && span.error.is_none()));
}

#[tokio::test]
async fn an_order_stays_one_tree_through_repeats_refunds_and_a_trace_of_the_customers() {
    let shop = shop().await;
    let id = placed(order("asked-twice")).await;
    assert_eq!(placed(order("asked-twice")).await, id);
    let refunds = "POST /v1/orders/{id}/refunds";
    until("the order to be shipped", async || is_shipped(&id).await).await;
    let refund = json!({"amount_minor": 1, "reason": "bruised"});
    let refund = Call::post(&format!("/v1/orders/{id}/refunds")).staff().key("bruised").json(&refund);
    until("the gateway to say", async || {
        let answer = refund.send(shop).await;
        (![409, 503].contains(&answer.status)).then(|| answer.is(201))
    })
    .await;
    let names =
        [&OF_AN_ORDER[..], &[refunds, "gateway give_back", "notifications.payments hears PaymentRefunded"]];
    let whole = tree(shop, &trace_of(&id), &names.concat()).await;
    assert!(whole.is_whole(), "{}", whole.text());
    assert_eq!(parent(&whole, refunds), "place order");
    let (trace, client) = ("5bf92f3577b34da6a3ce929d0e0e4737", "00f067aa0ba902b7");
    placed(order("in-a-trace").header("traceparent", format!("00-{trace}-{client}-01"))).await;
    let theirs = tree(shop, trace, &OF_AN_ORDER).await;
    let above: Vec<&str> = theirs.orphans().iter().map(|span| span.parent.as_str()).collect();
    assert_eq!((theirs.roots().len(), above), (0, vec![client]), "{}", theirs.text());
    assert_eq!(theirs.orphans()[0].name, "POST /v1/orders");
    let unsampled = "00-6bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b7-00";
    let unseen = placed(order("not-to-be-seen").header("traceparent", unsampled)).await;
    until("it to be shipped", async || is_shipped(&unseen).await).await;
    let after = placed(order("after-it")).await;
    tree(shop, &trace_of(&after), &OF_AN_ORDER).await;
    assert!(shop.traces.tree("6bf92f3577b34da6a3ce929d0e0e4737").0.is_empty(), "the customer's wish counts");
}

/// The reconciler that asks again knows the trace by its row alone.
#[tokio::test]
async fn what_was_asked_again_or_undone_is_in_the_same_tree() {
    let shop = shop().await;
    let with = |method: &str| json!({"lines": [{"sku": "apple", "quantity": 1}], "payment_method": method});
    let place = async |method: &str| placed_with(order(method), &with(method)).await;
    let (silent, broke) = (place("pm_sandbox_timeout").await, place("pm_sandbox_captureFails").await);
    let asked_again = tree(shop, &trace_of(&silent), &OF_AN_ORDER).await;
    assert!(asked_again.is_whole(), "{}", asked_again.text());
    let calls = named(&asked_again, "gateway authorise");
    assert!(calls.len() > 1 && calls.iter().any(|call| call.error.is_some()), "{}", asked_again.text());
    let undone = ["undo book", "carrier cancel", "undo authorise", "gateway void", "undo reserve"];
    let undone = tree(shop, &trace_of(&broke), &undone).await;
    assert!(undone.is_whole(), "{}", undone.text());
}

#[tokio::test]
async fn what_several_orders_share_is_linked() {
    let shop = shop().await;
    let keys: Vec<String> = (0..40).map(|n| format!("shared-{n}")).collect();
    let ids = join_all(keys.iter().map(|key| placed(order(key)))).await;
    let mut links = Vec::new();
    for id in &ids {
        let tree = tree(shop, &trace_of(id), &OF_AN_ORDER).await;
        assert!(tree.is_whole(), "{}", tree.text());
        let of =
            |span: &Span| span.links.iter().map(|link| (span.name.clone(), link.clone())).collect::<Vec<_>>();
        links.extend(tree.0.iter().flat_map(of));
    }
    for name in ["place order", "reserve", "notifications.orders hears OrderShipped"] {
        assert!(links.iter().any(|(of, _)| of == name), "of forty at once some share {name}");
    }
    for (_, link) in links {
        let shared = tree(shop, &link, &[]).await;
        let awaited = async || (shop.traces.tree(&link).0.len() == 1).then_some(());
        until("what is linked", awaited).await;
        assert!(
            shared.0.iter().all(|span| span.name.ends_with("batch") && span.parent.is_empty()),
            "{shared:?}"
        );
    }
}

#[tokio::test]
async fn nothing_in_a_trace_is_about_a_person_or_secret() {
    let shop = shop().await;
    let contact = json!({"name": "Quendolin Zwirn", "email": "zwirn@example.org", "language": "en", "unwanted": [],
        "address": {"street": "Nadelweg 7", "postcode": "Q9Q-7Z7", "city": "Fadenburg", "country": "AT"}});
    Call::new(reqwest::Method::PUT, "/v1/customers/me").customer(ALICE).json(&contact).check(200, "").await;
    let id = placed(Call::post("/v1/orders").customer(ALICE).key("of-a-person")).await;
    tree(shop, &trace_of(&id), &OF_AN_ORDER).await;
    let told = format!("{:?}", shop.traces.spans());
    let secrets = fs::read_to_string(shop.data.join("secrets.json")).expect("the shop's secrets");
    let secrets: Value = serde_json::from_str(&secrets).expect("JSON");
    let secrets: Vec<&str> =
        secrets.as_object().expect("secrets").values().filter_map(Value::as_str).collect();
    assert!(secrets.len() > 1, "{secrets:?}");
    let personal = ["Quendolin", "Zwirn", "zwirn@", "Nadelweg", "Q9Q-7Z7", "Fadenburg"];
    let others = ["pm_card", "Bearer ", "postgres://", "of-a-person"];
    for word in personal.iter().chain(&others).copied().chain(secrets) {
        assert!(!told.contains(word), "{word} is in a trace");
    }
}

#[tokio::test]
async fn spans_are_counted_and_log_lines_have_their_order_and_no_colours() {
    let shop = shop().await;
    placed(order("counted")).await;
    let sent = async || {
        let text = Call::get("/metrics").on_admin().send(shop).await.is(200).text;
        let line =
            text.lines().find(|line| line.starts_with("banyan_traces_spans_total") && line.contains("sent"));
        line.and_then(|line| line.rsplit_once(' ')).is_some_and(|(_, count)| count != "0").then_some(text)
    };
    let text = until("spans to be sent", sent).await;
    for outcome in ["dropped", "failed"] {
        let counts = |line: &str| line.starts_with("banyan_traces_spans_total") && line.contains(outcome);
        assert!(text.lines().any(counts), "{outcome}: {text}");
    }
    let id = placed(order("in-the-log")).await;
    let cancel =
        Call::post(&format!("/v1/orders/{id}/cancel")).customer(CAROL).json(&json!({"reason": "why not"}));
    assert!([200, 410].contains(&cancel.send(shop).await.status));
    let log = fs::read_to_string(shop.data.join("shop.log")).expect("the log");
    let in_context = |line: &&str| line.contains("request") && line.contains(&format!("order={id}"));
    let line = log.lines().find(in_context).expect("a line of the cancel says whose it is");
    assert!(line.contains(&trace_of(&id)), "{line}");
    assert!(!log.is_empty() && !log.contains('\u{1b}'), "no colour codes in a file");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_harms_no_order() {
    // Nobody listens on the first port of all.
    let shop = Shop::open(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")]).await;
    let placed = order("untold").json(&basket()).send(&shop).await.is(201).json();
    let shown = Call::get(&format!("/v1/orders/{}", placed["id"].as_str().expect("an id"))).customer(CAROL);
    let shipped = async || (shown.send(&shop).await.json()["state"] == "shipped").then_some(());
    until("the order to be shipped", shipped).await;
    let failed = async || {
        let text = Call::get("/metrics").on_admin().send(&shop).await.is(200).text;
        let of = |line: &&str| line.starts_with("banyan_traces_spans_total") && line.contains("failed");
        text.lines().find(of).filter(|line| !line.ends_with(" 0")).map(drop)
    };
    until("the lost spans to be counted", failed).await;
    let log = fs::read_to_string(shop.data.join("shop.log")).expect("the log");
    assert_eq!(log.matches("traces are not taken").count(), 1, "said once");
}
