//! E4: what the shop's own metrics say of a hundred orders.

use std::collections::BTreeMap;

use banyan_lab::stage::{ShopClient, until};

use super::{Cast, ENDED, Row, Shown, findings, in_words, open, played};

pub const ROW: Row = Row {
    name: "E4",
    title: "own metrics: what a dashboard is made of, before and after a hundred orders",
    says: [
        "/metrics is read, 100 orders are shipped, and it is read again; the difference must be what was done.",
        "The dashboard and the alert rules beside it ask for these names alone: app/observability.",
    ],
    without: &[],
    file: "app/src/observe/mod.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 100;
const SHOWN: [&str; 6] = [
    "banyan_orders_placed_total",
    "banyan_orders_ended_total",
    "banyan_orders_revenue_total",
    "banyan_saga_answers_total",
    "banyan_call_duration_seconds_count",
    "banyan_bus_events_total",
];

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let shop = open(&stage, cast.options(&[])).await;
    let before = read(&shop).await;
    let (orders, _) = played(&shop, "e4", ORDERS).await;
    let found = findings(&shop).await;
    let after = read(&shop).await;
    let grown = |name: &str| after.get(name).unwrap_or(&0.0) - before.get(name).unwrap_or(&0.0);
    SHOWN.iter().for_each(|name| println!("    {name:<40} +{}", grown(name)));
    let staff = shop.staff_token().await;
    let mut revenue = 0;
    for order in &orders {
        let (_, order) = shop.get(&format!("/v1/orders/{order}"), &staff).await;
        revenue += order["total"]["minor"].as_i64().unwrap_or_default();
    }
    // What is looked at by itself is looked at every few seconds.
    let open = until(ENDED, "no open order to be told", async || {
        let open = read(&shop).await.get("banyan_orders_open").copied();
        open.filter(|open| *open == 0.0)
    })
    .await;
    let told = grown("banyan_orders_placed_total") == ORDERS as f64
        && grown("banyan_orders_ended_total") == ORDERS as f64
        && grown("banyan_orders_revenue_total") == revenue as f64;
    let figure = format!(
        "{} names; {ORDERS} orders placed, ended and earned as the orders themselves say: {told}; {open} open; {}",
        after.len(),
        in_words(&found)
    );
    Shown { figure, as_said: told && found.is_empty() }
}

/// The sum of each metric over its labels.
async fn read(shop: &ShopClient) -> BTreeMap<String, f64> {
    let mut sums = BTreeMap::new();
    for (series, value) in shop.metrics().await {
        let name = series.split('{').next().unwrap_or(&series);
        if name.starts_with("banyan_") {
            *sums.entry(name.to_owned()).or_insert(0.0) += value;
        }
    }
    sums
}
