//! C4: an event that comes twice counts once.

use banyan_lab::stage::{ShopClient, ShopProcess, until};
use banyan_store::sqlx;
use reqwest::Method;

use super::{Cast, ENDED, Row, Shown, count, findings, in_words, open, played};

pub const ROW: Row = Row {
    name: "C4",
    title: "duplicate events: the row that an event changes knows which it has seen",
    says: [
        "60 orders are shipped; then the shop is stopped, its consumers are set back to the beginning,",
        "and it starts again: every event is delivered a second time, and no stock may move.",
    ],
    without: &[(
        "inbox",
        "inventory hears from a consumer that forgets: told twice, it counts a shipment twice, and the audit says of what",
    )],
    file: "modules/inventory/core/src/shipped.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 60;
const BACK: [&str; 2] = [
    "update inventory.slot set source_epoch = 0, source_xid = '0', source_seq = 0 where group_name = 'inventory.orders'",
    "update shipping.slot set source_epoch = 0, source_xid = '0', source_seq = 0 where group_name = 'shipping.orders'",
];
const SHIPPED: &str = "select sum(shipped)::int8 from inventory.stock";

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let mut shop = open(&stage, cast.options(&[])).await;
    let (_, ended) = played(&shop, "c4", ORDERS).await;
    let once = findings(&shop).await;
    let before = pieces(&shop).await;
    println!("    told once:  {before} pieces shipped; {}", in_words(&once));
    told_again(&mut shop).await;
    let (heard, duplicates) = heard(&shop, ORDERS as u64 * 2).await;
    let (twice, after) = (findings(&shop).await, pieces(&shop).await);
    println!(
        "    told again: {after} pieces shipped; inventory heard {heard} events, {duplicates} of them known"
    );
    let figure = format!(
        "{} orders shipped, {heard} events told twice, {} pieces counted twice; {}",
        count(&ended, "shipped"),
        after - before,
        in_words(&twice)
    );
    let kept = once.is_empty() && twice.is_empty() && after == before && duplicates == heard;
    let as_said = if cast.without.is_some() { once.is_empty() && twice.contains_key("stock") } else { kept };
    Shown { figure, as_said }
}

/// Stops the shop, sets its consumers back and starts it again. The database outlives the kill.
async fn told_again(shop: &mut ShopProcess) {
    shop.kill9().await;
    let database = shop.superuser_pool();
    for back in BACK {
        sqlx::query(back).execute(&database).await.expect("the positions are rows");
    }
    shop.restart().await;
}

/// What inventory's consumer has heard since the start, and how much of it it had applied before.
async fn heard(shop: &ShopClient, events: u64) -> (u64, u64) {
    until(ENDED, "every event to be heard again", async || {
        let (_, groups) = shop.operate(Method::GET, "/admin/groups", None).await;
        let group = &groups["inventory.orders"];
        let number = |name: &str| group[name].as_u64().unwrap_or_default();
        let heard = number("applied") + number("duplicates") + number("skipped");
        (heard >= events).then(|| (heard, number("duplicates")))
    })
    .await
}

async fn pieces(shop: &ShopClient) -> i64 {
    sqlx::query_scalar(SHIPPED).fetch_one(&shop.superuser_pool()).await.expect("the stock")
}
