//! E2: one id, from the customer's request to the gateway's book.

use banyan_host::testing::Receiver;
use banyan_lab::stage::{ShopClient, until};
use banyan_store::sqlx;
use serde_json::{Value, json};

use super::{Cast, ENDED, Row, SKUS, Shown, open};

pub const ROW: Row = Row {
    name: "E2",
    title: "correlation: one id in the answer, the events of all modules, the log, the gateway's book and the collector",
    says: [
        "A customer sends an order with a trace of their own (W3C traceparent).",
        "Its id is then looked for in every place that heard of the order.",
    ],
    without: &[],
    file: "platform/kernel/src/context.rs",
    play: |cast| Box::pin(play(cast)),
};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
/// The request, the order, five steps, three calls, five deliveries.
const SPANS_MIN: i64 = 15;
const LOG: &str = "warn,orders_core=debug,banyan_net=debug,banyan_bus=trace";
const EVENTS: [(&str, &str); 4] = [
    (
        "orders' event stream",
        "select count(*) from orders.order_event where traceparent like '%' || $1 || '%'",
    ),
    ("inventory's events", "select count(*) from inventory.outbox where traceparent like '%' || $1 || '%'"),
    ("payments' events", "select count(*) from payments.outbox where traceparent like '%' || $1 || '%'"),
    ("shipping's events", "select count(*) from shipping.outbox where traceparent like '%' || $1 || '%'"),
];

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let collector = Receiver::start();
    let mut options = cast.options(&["--log", LOG, "--log-json"]);
    options.env.push(("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), collector.endpoint.clone()));
    let shop = open(&stage, options).await;
    let order = placed(&shop).await;
    shop.settled(std::slice::from_ref(&order), ENDED).await.unwrap_or_else(|why| panic!("{why}"));
    let mut places = Vec::new();
    let (_, view) = shop.get(&format!("/v1/orders/{order}"), &shop.staff_token().await).await;
    places.push(("the answer over HTTP", i64::from(view["correlation"] == TRACE)));
    for (place, statement) in EVENTS {
        let count = sqlx::query_scalar(statement).bind(TRACE).fetch_one(&shop.superuser_pool()).await;
        places.push((place, count.expect("the events")));
    }
    let log = shop.data.with_extension("err");
    // The bus hears of the end a moment later than the order.
    let steps = until(ENDED, "the bus's lines", async || {
        (lines(&log, "\"applied\"") >= 2).then(|| lines(&log, "\"heard\""))
    })
    .await;
    places.push(("the log: the saga", steps));
    places.push(("the log: calls to the outside", lines(&log, "\"answered\"")));
    places.push(("the log: the bus", lines(&log, "\"applied\"")));
    let told = async || (lines(&log, "\"notifications.orders\"") >= 2).then_some(2);
    places.push(("the log: notifications", until(ENDED, "the customer to be told", told).await));
    let spans = async || Some(collector.tree(TRACE).0.len() as i64).filter(|spans| *spans >= SPANS_MIN);
    places.push(("the collector: spans", until(ENDED, "the order's spans", spans).await));
    places.push(("the outside's book", lines(&shop.data.join("book/book.jsonl"), "")));
    places.iter().for_each(|(place, count)| println!("    {place:<30} {count:>3}"));
    let found = places.iter().filter(|(_, count)| *count > 0).count();
    let figure = format!("{TRACE} found in {found} of {} places of order {order}", places.len());
    Shown { figure, as_said: found == places.len() }
}

async fn placed(shop: &ShopClient) -> String {
    let token = shop.customer_token("customer-0").await;
    let body = json!({"lines": [{"sku": SKUS[0], "quantity": 1}], "payment_method": "pm_card_visa"});
    let request = banyan_net::client()
        .build()
        .expect("a client")
        .post(format!("{}/v1/orders", shop.api))
        .bearer_auth(token)
        .json(&body);
    let request = request
        .header("Idempotency-Key", "e2")
        .header("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-01"));
    let answer: Value = request.send().await.expect("an answer").json().await.expect("JSON");
    answer["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

/// Lines of a file that name the trace, and this word.
fn lines(file: &std::path::Path, word: &str) -> i64 {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let count = text.lines().filter(|line| line.contains(TRACE) && line.contains(word)).count();
    i64::try_from(count).unwrap_or(i64::MAX)
}
