//! What an order's life costs in bytes of PostgreSQL's log. Prints figures; asserts none.

use inventory_api::{
    Inventory,
    testing::{confirm, context, lines, order, receipt, reserve},
};

use crate::world::{World, event};

const BATCHES: usize = 20;
const BATCH: usize = 50;
const LINES: usize = 5;
const SKUS: usize = 5_000;

async fn wal_bytes(world: &World) -> i64 {
    let place = "select (pg_current_wal_insert_lsn() - '0/0')::int8";
    sqlx::query_scalar(place).fetch_one(world.store.pool()).await.expect("a place in the log")
}

/// Five lines, spread over all SKUs.
fn basket(order: usize) -> Vec<banyan_kernel::Line> {
    let skus: Vec<String> =
        (0..LINES).map(|line| format!("P{}", (order * 7 + line * 1_009) % SKUS)).collect();
    lines(&skus.iter().map(|sku| (sku.as_str(), 1)).collect::<Vec<_>>())
}

#[tokio::test]
#[ignore = "prints a figure; alone on its cluster it is exact: cargo test -p inventory-core wal -- --ignored --nocapture"]
async fn wal_bytes_per_order() {
    let world = World::new().await;
    let port = &world.inventory;
    for from in (0..SKUS).step_by(200) {
        let names: Vec<String> = (from..from + 200).map(|sku| format!("P{sku}")).collect();
        let of: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 1_000)).collect();
        port.receive(context(), vec![receipt(&from.to_string(), &of)]).await;
    }
    let ids: Vec<usize> = (0..BATCHES * BATCH).collect();
    let mut spent = [0; 3];
    // Batches overlap, as they do in a shop: some are reserved while others ship.
    for batch in ids.chunks(BATCH) {
        let orders: Vec<_> = batch.iter().map(|n| order(&n.to_string())).collect();
        let ask = batch.iter().map(|n| {
            let mut command = reserve(order(&n.to_string()), 1, &[], world.now());
            command.body.lines = basket(*n);
            command
        });
        let mut marks = vec![wal_bytes(&world).await];
        port.reserve(ask.collect()).await;
        marks.push(wal_bytes(&world).await);
        port.confirm(orders.iter().map(|order| confirm(*order)).collect()).await;
        marks.push(wal_bytes(&world).await);
        world.hear(&orders.iter().map(|order| event(*order, "OrderShipped", 2)).collect::<Vec<_>>()).await;
        marks.push(wal_bytes(&world).await);
        for (sum, step) in spent.iter_mut().zip(marks.windows(2)) {
            *sum += step[1] - step[0];
        }
    }
    let [reserve, confirm, ship] = spent.map(|bytes| bytes / ids.len() as i64);
    println!("WAL bytes per order of {LINES} lines: reserve {reserve}, confirm {confirm}, ship {ship}");
    assert_eq!(world.inventory.stock_violations().await.expect("violations"), []);
}
