//! Orders: asked by the shop. What is behind the port here is the contract's own fake, which keeps to the suite that the core keeps to.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use axum::{Router, extract::Request, response::Response};
use banyan_kernel::{Answer, Clock, Json, ManualClock, Money, OrderId, Timestamp};
use banyan_net::port::Door;
use orders_api::{
    ListOrders, ListSales, NAME, OpenOrders, OrderAccepted, OrderEventView, OrderFact, OrderFacts, OrderFold,
    OrderState, OrderSummary, OrderView, Orders, OrdersPage, Placed, PricedLine, Resolution, Sales,
    SalesPage, Settled, Why, refusals,
    testing::{FakeOrders, PRICE_MINOR, context, customer, order, sku, wish},
};
use orders_http::{HttpOrders, Served, port};
use serde_json::json;
use tokio::sync::RwLock;
use tower::ServiceExt as _;

use crate::{
    inventory::before,
    talk::{Talk, json_of},
    verify::{Provider, States},
};

const SOLD: &str = "tea is sold";
const NO_COFFEE: &str = "there is no coffee";
const PLACED: &str = "one order is there, and was placed";
const SHIPPED: &str = "one order is there, and was shipped";
const STUCK: &str = "one order is there, and is stuck";
const NOTHING: &str = "nothing is known of the order";

fn now() -> Timestamp {
    ManualClock::at_micros(1_750_000_000_000_000).now()
}

fn price(pieces: i64) -> Money {
    Money { minor: pieces * PRICE_MINOR, currency: "EUR".parse().expect("a currency") }
}

fn mine() -> OrderId {
    order("mine")
}

fn priced() -> Vec<PricedLine> {
    let lines = wish("mine", "ada", &[("tea", 2)]).lines.into_iter();
    lines.map(|line| PricedLine { sku: line.sku, quantity: line.quantity, unit_price: price(1) }).collect()
}

fn view(state: OrderState, version: i64) -> OrderView {
    OrderView {
        id: mine(),
        customer: customer("ada"),
        state,
        cause: None,
        total: price(2),
        lines: priced(),
        tracking: None,
        parcels: Vec::new(),
        placed_at: now(),
        ended_at: None,
        version,
        correlation: context(mine()).trace.correlation(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_shop_expects_of_orders() {
    let talk = Talk::new("shop", NAME);
    customers_place(&talk).await;
    customers_cancel(&talk).await;
    staff_resolve(&talk).await;
    all_read(&talk).await;
    lists_are_read(&talk).await;
    an_order_is_looked_into(&talk).await;
    the_audit_asks(&talk).await;
    reports_are_made(&talk).await;
    talk.agreed();
}

async fn customers_place(talk: &Talk) {
    let wishes = vec![wish("wanted", "ada", &[("tea", 2)])];
    let (total, lines, placed_at) = (price(2), priced(), now());
    let accepted = OrderAccepted { id: order("wanted"), state: OrderState::Placed, total, lines, placed_at };
    let placed = vec![Answer::Done(Placed { accepted, repeated: false })];
    let question = json!({ "wishes": wishes });
    talk.ask("place", SOLD, &question, placed, async |to| HttpOrders(to).place(wishes).await).await;
    let wishes = vec![wish("coffee", "ada", &[("coffee", 1)])];
    let refused = vec![Answer::rejected(refusals::UNKNOWN_PRODUCT, "nobody sells it")];
    let question = json!({ "wishes": wishes });
    talk.ask("place", NO_COFFEE, &question, refused, async |to| HttpOrders(to).place(wishes).await).await;
}

async fn customers_cancel(talk: &Talk) {
    let question = |of: OrderId| json!({ "order": of, "reason": "changed_mind", "context": context(of) });
    let reason = || "changed_mind".to_owned();
    let turned = OrderView { cause: Some("cancelled".to_owned()), ..view(OrderState::Cancelling, 2) };
    talk.ask("cancel", PLACED, &question(mine()), Answer::Done(turned), async |to| {
        HttpOrders(to).cancel(mine(), reason(), context(mine())).await
    })
    .await;
    let (of, unknown) =
        (order("nobody's"), Answer::rejected(refusals::UNKNOWN_ORDER, "there is no such order"));
    talk.ask("cancel", NOTHING, &question(of), unknown, async |to| {
        HttpOrders(to).cancel(of, reason(), context(of)).await
    })
    .await;
}

async fn staff_resolve(talk: &Talk) {
    let question =
        json!({ "order": mine(), "how": "retry", "reason": "it was booked", "context": context(mine()) });
    let resolve = async |to| {
        let reason = "it was booked".to_owned();
        HttpOrders(to).resolve(mine(), Resolution::Retry, reason, context(mine())).await
    };
    let going = Answer::Done(view(OrderState::Placed, 3));
    talk.ask("resolve", STUCK, &question, going, resolve).await;
    let refused = Answer::rejected(refusals::NOT_STUCK, "it is on its way");
    talk.ask("resolve", PLACED, &question, refused, resolve).await;
}

async fn all_read(talk: &Talk) {
    let seen = Answer::Done(vec![view(OrderState::Placed, 1)]);
    let question = json!({ "orders": [mine()], "reader": customer("ada") });
    talk.ask("view", PLACED, &question, seen, async |to| {
        HttpOrders(to).view(vec![mine()], Some(customer("ada"))).await
    })
    .await;
    let event = OrderEventView {
        version: 1,
        at: now(),
        kind: "OrderCreated".to_owned(),
        module: NAME.to_owned(),
        step: None,
        attempt: None,
        undo: false,
        cause: None,
        actor: context(mine()).actor,
        correlation: context(mine()).trace.correlation(),
        data: Json::Null,
    };
    let question = json!({ "order": mine(), "after": 0 });
    talk.ask("events", PLACED, &question, Answer::Done(vec![event]), async |to| {
        HttpOrders(to).events(mine(), 0).await
    })
    .await;
}

async fn lists_are_read(talk: &Talk) {
    let OrderView { id, customer, state, cause, total, tracking, placed_at, ended_at, version, .. } =
        view(OrderState::Placed, 1);
    let summary =
        OrderSummary { id, customer, state, cause, total, pieces: 2, tracking, placed_at, ended_at, version };
    let page = OrdersPage { orders: vec![summary], next: Some((placed_at, id)) };
    let next = json!({ "at": view_time(), "order": id });
    let written = json!({ "done": { "orders": page.orders, "next": next } });
    let which = ListOrders { limit: 1, customer: Some(customer), ..ListOrders::default() };
    let question = json!({ "customer": customer, "limit": 1 });
    talk.ask_as("list", PLACED, &question, &written, Answer::Done(page), async |to| {
        HttpOrders(to).list(which).await
    })
    .await;
    let (hour, currency) = (now(), total.currency);
    let sold = Sales { hour, sku: sku("tea"), currency, orders: 1, pieces: 2, amount_minor: 500 };
    let page = SalesPage { sales: vec![sold], next: None };
    let written = json!({ "done": { "sales": page.sales } });
    talk.ask_as("sales", SHIPPED, &json!({ "limit": 10 }), &written, Answer::Done(page), async |to| {
        HttpOrders(to).sales(ListSales { limit: 10, ..ListSales::default() }).await
    })
    .await;
}

/// As contracts write it.
fn view_time() -> Json {
    json_of(&view(OrderState::Placed, 1))["placed_at"].clone()
}

fn why(state: OrderState) -> Why {
    Why {
        id: mine(),
        state,
        step: Some("reserve".to_owned()),
        cause: Some("nobody can tell".to_owned()),
        since: now(),
        next_try: None,
        waits_for: None,
        asked: 0,
        advice: "look".to_owned(),
    }
}

async fn an_order_is_looked_into(talk: &Talk) {
    let looked = Answer::Done(why(OrderState::Stuck));
    talk.ask("why", STUCK, &json!({ "order": mine() }), looked, async |to| HttpOrders(to).why(mine()).await)
        .await;
    let (of, unknown) =
        (order("nobody's"), Answer::rejected(refusals::UNKNOWN_ORDER, "there is no such order"));
    talk.ask("why", NOTHING, &json!({ "order": of }), unknown, async |to| HttpOrders(to).why(of).await).await;
    let stuck = Answer::Done(vec![why(OrderState::Stuck)]);
    talk.ask("stuck", STUCK, &json!({}), stuck, async |to| HttpOrders(to).stuck().await).await;
}

async fn the_audit_asks(talk: &Talk) {
    let after = before(mine());
    let question = json!({ "after": after, "limit": 100 });
    talk.ask("page-end", PLACED, &question, Answer::Done(Some(mine())), async |to| {
        HttpOrders(to).page_end(after, 100).await
    })
    .await;
    let (state, total, lines, tracking) = (OrderState::Placed, price(2), priced(), Vec::new());
    let fold = OrderFold { state, total, lines, tracking, version: 1, told: 1, since: now(), ended: None };
    let fact = OrderFact {
        id: mine(),
        order: Some(fold),
        chain: None,
        row: None,
        out_of_order: false,
        answers_otherwise: false,
        due_at: Some(now()),
        listed: 1,
        list: None,
        is_sold: false,
        sale_heard: false,
    };
    let question = json!({ "after": after, "upto": mine() });
    talk.ask("facts", PLACED, &question, Answer::Done(vec![fact]), async |to| {
        HttpOrders(to).facts(after, mine()).await
    })
    .await;
    talk.ask("sales-violations", PLACED, &json!({}), Answer::Done(Vec::new()), async |to| {
        HttpOrders(to).sales_violations().await
    })
    .await;
}

async fn reports_are_made(talk: &Talk) {
    let settled = Settled {
        id: mine(),
        state: "shipped".to_owned(),
        cause: None,
        placed_at: now(),
        ended_at: Some(now()),
        asked_again: false,
        compensated: false,
        parcels: 0,
    };
    let question = json!({ "orders": [mine()] });
    talk.ask("settled", SHIPPED, &question, Answer::Done(vec![settled]), async |to| {
        HttpOrders(to).settled(vec![mine()]).await
    })
    .await;
    talk.ask("refusals", PLACED, &json!({}), Answer::Done(BTreeMap::new()), async |to| {
        HttpOrders(to).refusals().await
    })
    .await;
    let open = vec![OpenOrders { state: OrderState::Placed, orders: 1, oldest_s: 0.5 }];
    talk.ask("open", PLACED, &json!({}), Answer::Done(open), async |to| HttpOrders(to).open().await).await;
}

/// Begins anew in each state, since a fake forgets nothing.
struct World {
    door: Door,
    now_served: RwLock<Router>,
}

impl World {
    fn serving(&self, fake: FakeOrders) -> Router {
        port().router(Served::by(Arc::new(fake)), self.door.clone())
    }

    async fn answer(self: Arc<Self>, request: Request) -> Response {
        let served = self.now_served.read().await.clone();
        served.oneshot(request).await.unwrap_or_else(|never| match never {})
    }
}

#[async_trait]
impl States for World {
    async fn bring_about(&self, state: &str) {
        let fake = FakeOrders::new(Arc::new(ManualClock::at_micros(1_750_000_000_000_000)));
        fake.sell(sku("tea"), Some(price(1)));
        if [PLACED, SHIPPED, STUCK].contains(&state) {
            fake.place(vec![wish("mine", "ada", &[("tea", 2)])]).await;
        }
        match state {
            SHIPPED => fake.end(mine()),
            STUCK => fake.stop(mine()),
            _ => {}
        }
        *self.now_served.write().await = self.serving(fake);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_keep_their_pacts() {
    let provider = Provider::of(NAME, |door| {
        let world = Arc::new(World { door, now_served: RwLock::default() });
        let answering = world.clone();
        let router = Router::new().fallback(move |request| answering.clone().answer(request));
        (router, world as Arc<dyn States>)
    });
    provider.keeps_its_pacts().await;
}
