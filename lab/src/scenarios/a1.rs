//! A1: one order through all modules.

use super::{Cast, Row, Shown, baskets, count, findings, in_words, open, p50_p99};
use banyan_store::sqlx;

pub const ROW: Row = Row {
    name: "A1",
    title: "the saga: place, reserve, authorise, confirm, book, capture, shipped",
    says: [
        "200 orders are placed over HTTP; each goes through orders, inventory, payments and shipping.",
        "The time of each step is read from the orders' own events; then everything is audited.",
    ],
    without: &[],
    file: "modules/orders/core/src/saga.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 200;
const STEPS: &str = "select e.payload->>'step', count(*), \
     percentile_cont(0.5) within group (order by extract(epoch from e.at - p.at)::float8 * 1000), \
     percentile_cont(0.99) within group (order by extract(epoch from e.at - p.at)::float8 * 1000) \
     from orders.order_event e join orders.order_event p on p.order_id = e.order_id and p.version = e.version - 1 \
     where e.type = 'StepDone' group by 1 order by min(e.version)";
const WHOLE: &str = "select extract(epoch from e.at - p.at)::float8 * 1000 \
     from orders.order_event e join orders.order_event p on p.order_id = e.order_id and p.version = 1 \
     where e.type = 'OrderShipped'";

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let shop = open(&stage, cast.options(&[])).await;
    let begun = tokio::time::Instant::now();
    let orders = shop.place_all(baskets("a1", ORDERS), 32).await;
    let ended = shop.settled(&orders, super::ENDED).await.unwrap_or_else(|why| panic!("{why}"));
    let took_s = begun.elapsed().as_secs_f64();
    let database = shop.superuser_pool();
    let steps: Vec<(String, i64, f64, f64)> =
        sqlx::query_as(STEPS).fetch_all(&database).await.expect("the events");
    println!("    step       orders   p50 ms   p99 ms");
    for (step, orders, p50, p99) in steps {
        println!("    {step:<10} {orders:>6} {p50:>8.1} {p99:>8.1}");
    }
    let mut whole: Vec<f64> = sqlx::query_scalar(WHOLE).fetch_all(&database).await.expect("the events");
    let (p50, p99) = p50_p99(&mut whole);
    let found = findings(&shop).await;
    let shipped = count(&ended, "shipped");
    let figure = format!(
        "{shipped} of {ORDERS} orders shipped in {took_s:.1} s; placed to shipped p50 {p50:.0} ms, p99 {p99:.0} ms; {}",
        in_words(&found)
    );
    Shown { figure, as_said: shipped == ORDERS && found.is_empty() }
}
