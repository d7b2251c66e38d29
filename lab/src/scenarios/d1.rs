//! D1: an order is rebuilt from its events, and events that were changed or cut off are noticed.

use banyan_kernel::{Actor, Json, OrderId, Timestamp};
use banyan_lab::stage::{ShopClient, violations};
use banyan_store::sqlx::{self, PgPool};
use orders_core::{Order, OrderEvent};
use uuid::Uuid;

use super::{Cast, Row, Shown, findings, in_words, open, played};

pub const ROW: Row = Row {
    name: "D1",
    title: "event sourcing: the events are the order, each hashed with the one before",
    says: [
        "20 orders are rebuilt from their events alone and compared with their rows, hash by hash.",
        "Then PostgreSQL's superuser changes one event and cuts another order's last one off: the audit names both.",
    ],
    without: &[(
        "hash",
        "who rebuilds without checking the hashes takes the changed history for true and sees nothing",
    )],
    file: "modules/orders/core/src/chain.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 20;
const EVENTS: &str = "select type, schema_version, payload, hash, at, traceparent from orders.order_event \
     where order_id = $1 order by version";
const HEAD: &str = "select version, state, hash from orders.orders where order_id = $1";
/// Another hand did it, says the changed event.
const TAMPER: &str = "update orders.order_event set payload = jsonb_set(payload, '{actor}', '\"staff:mallory\"') \
     where order_id = $1 and version = 3";
const CUT: &str = "delete from orders.order_event where order_id = $1 and version = \
     (select max(version) from orders.order_event where order_id = $1)";

type EventRow = (String, i16, Json, Vec<u8>, Timestamp, Option<String>);

async fn play(cast: Cast) -> Shown {
    let stage = Cast { without: None, ..cast }.stage();
    let shop = open(&stage, super::ShopOptions::default()).await;
    let (orders, _) = played(&shop, "d1", ORDERS).await;
    let ids: Vec<Uuid> = orders.iter().filter_map(|order| order.parse().ok()).collect();
    let database = shop.superuser_pool();
    let clean = findings(&shop).await;
    let mut whole = 0;
    for id in &ids {
        let (order, fits) = rebuilt(&database, *id).await;
        whole += usize::from(fits && is_its_row(&database, &order).await);
    }
    println!("    rebuilt from events: {whole} of {ORDERS} equal their rows, each hash fits");
    let (changed, cut) = (ids[0], ids[1]);
    for (statement, id) in [(TAMPER, changed), (CUT, cut)] {
        sqlx::query(statement).bind(id).execute(&database).await.expect("a superuser may");
    }
    match cast.without {
        None => noticed(&shop, whole == ORDERS && clean.is_empty(), changed, cut).await,
        Some(_) => unnoticed(&database, changed).await,
    }
}

async fn noticed(shop: &ShopClient, whole: bool, changed: Uuid, cut: Uuid) -> Shown {
    // The one that lost its end counts as open again: there is no waiting for it.
    let found = violations(&shop.audit().await);
    let chain = found.get("chain").cloned().unwrap_or_default();
    let named = |id: Uuid, what: &str| chain.contains(&format!("{id}: {what}"));
    let both = named(changed, "event 3 was changed") && named(cut, "the tail is cut off");
    let figure =
        format!("{ORDERS} orders rebuilt; 2 tampered with, both named: {both}; {}", in_words(&found));
    Shown { figure, as_said: whole && both }
}

/// The oracle remembers what the event said; the one who rebuilds without hashes does not.
async fn unnoticed(database: &PgPool, changed: Uuid) -> Shown {
    let (order, fits) = rebuilt(database, changed).await;
    let believed = order.public_state().as_str();
    let rows = events(database, changed).await;
    let says = rows[2].2["actor"].as_str().unwrap_or_default().to_owned();
    let figure = format!(
        "{changed} is rebuilt as {believed} without a word; its event 3 says {says} did it, and it was system:saga \
         (the hash, had it been asked, fits: {fits})"
    );
    Shown { figure, as_said: believed == "shipped" && says == "staff:mallory" && !fits }
}

async fn events(database: &PgPool, id: Uuid) -> Vec<EventRow> {
    sqlx::query_as(EVENTS).bind(id).fetch_all(database).await.expect("the events")
}

/// The order as its events have it, whoever wrote them; and whether each hash is the one stored.
async fn rebuilt(database: &PgPool, id: Uuid) -> (Order, bool) {
    let mut rebuilt: Option<Order> = None;
    let mut fits = true;
    for (kind, schema_version, payload, hash, at, trace) in events(database, id).await {
        let actor: Actor = payload["actor"].as_str().and_then(|who| who.parse().ok()).expect("who did it");
        let event =
            OrderEvent::restore(&kind, schema_version.unsigned_abs(), payload).expect("a known event");
        let recorded = match (&mut rebuilt, event) {
            (Some(order), event) => order.record(event, at, &actor),
            (none, OrderEvent::OrderCreated(created)) => {
                let trace = trace.and_then(|trace| trace.parse().ok()).expect("its trace");
                let (order, first) = Order::create(OrderId(id), created, trace, at, &actor);
                *none = Some(order);
                first
            }
            (None, event) => panic!("{id} begins with {event:?}"),
        };
        fits &= recorded.hash[..] == hash[..];
    }
    (rebuilt.expect("an order has events"), fits)
}

async fn is_its_row(database: &PgPool, order: &Order) -> bool {
    let (version, state, hash): (i32, String, Vec<u8>) =
        sqlx::query_as(HEAD).bind(order.id.0).fetch_one(database).await.expect("its row");
    i64::from(version) == order.version && state == order.public_state().as_str() && hash == order.hash
}
