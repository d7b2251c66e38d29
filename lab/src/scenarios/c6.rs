//! C6: an order's status reaches the others through events, a moment later.

use banyan_store::sqlx;

use super::{Cast, Row, Shown, findings, in_words, open, p50_p99, played};

pub const ROW: Row = Row {
    name: "C6",
    title: "status propagates through events: the others know a moment later",
    says: [
        "200 orders are shipped; PostgreSQL says when each commit was: orders' OrderShipped, then inventory's",
        "and shipping's rows. Between the two, the modules disagree: for how long, and how many at once.",
    ],
    without: &[],
    file: "modules/inventory/core/src/shipped.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 200;
const KEEP_TIMES: &str = "alter system set track_commit_timestamp = on";
/// A row's last writer is its xmin; an event knows its own transaction.
const INVENTORY: &str = "select (extract(epoch from pg_xact_commit_timestamp(e.xid::xid)) * 1000)::float8, \
     (extract(epoch from pg_xact_commit_timestamp(r.xmin)) * 1000)::float8 \
     from orders.order_event e join inventory.reservation r using (order_id) \
     where e.type = 'OrderShipped' and r.state = 'shipped'";
const SHIPPING: &str = "select (extract(epoch from pg_xact_commit_timestamp(e.xid::xid)) * 1000)::float8, \
     (extract(epoch from pg_xact_commit_timestamp(s.xmin)) * 1000)::float8 \
     from orders.order_event e join shipping.shipment s using (order_id) \
     where e.type = 'OrderShipped' and s.state = 'dispatched'";

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let mut shop = open(&stage, cast.options(&[])).await;
    sqlx::query(KEEP_TIMES).execute(&shop.superuser_pool()).await.expect("a superuser's setting");
    // The private server stops and starts with its shop, and then keeps the times.
    shop.stop().await;
    shop.restart().await;
    played(&shop, "c6", ORDERS).await;
    let found = findings(&shop).await;
    let mut figures = Vec::new();
    let mut all = 0;
    for (module, statement) in [("inventory", INVENTORY), ("shipping", SHIPPING)] {
        let spans: Vec<(f64, f64)> =
            sqlx::query_as(statement).fetch_all(&shop.superuser_pool()).await.expect("the commits' times");
        all += spans.len();
        let (p50, p99) = p50_p99(&mut spans.iter().map(|(told, known)| known - told).collect::<Vec<_>>());
        figures
            .push(format!("{module} p50 {p50:.1} ms, p99 {p99:.1} ms, at most {} between", between(&spans)));
    }
    let figure = format!("shipped to known: {}; {}", figures.join("; "), in_words(&found));
    Shown { figure, as_said: all == 2 * ORDERS && found.is_empty() }
}

/// How many had been told and were not known, at the worst moment.
fn between(spans: &[(f64, f64)]) -> i64 {
    let mut changes: Vec<(f64, i64)> =
        spans.iter().flat_map(|(told, known)| [(*told, 1), (*known, -1)]).collect();
    changes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let sums = changes.iter().scan(0, |sum, (_, change)| {
        *sum += change;
        Some(*sum)
    });
    sums.max().unwrap_or_default()
}
