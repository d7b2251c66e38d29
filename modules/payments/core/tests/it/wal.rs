//! What an order's payment costs in bytes of PostgreSQL's log. Prints figures; asserts none.

use payments_api::{
    Payments,
    testing::{authorise, capture, order},
};

use crate::world::World;

const BATCHES: usize = 20;
const BATCH: usize = 50;

async fn wal_bytes(world: &World) -> i64 {
    let place = "select (pg_current_wal_insert_lsn() - '0/0')::int8";
    sqlx::query_scalar(place).fetch_one(world.store.pool()).await.expect("a place in the log")
}

#[tokio::test]
#[ignore = "prints a figure; alone on its cluster it is exact: cargo test -p payments-core wal -- --ignored --nocapture"]
async fn wal_bytes_per_order() {
    let world = World::new().await;
    let ids: Vec<usize> = (0..BATCHES * BATCH).collect();
    let (mut held, mut taken) = (0, 0);
    for batch in ids.chunks(BATCH) {
        let orders: Vec<_> = batch.iter().map(|n| order(&n.to_string())).collect();
        let begun = wal_bytes(&world).await;
        world
            .payments
            .authorise(orders.iter().map(|order| authorise(*order, 1, "pm_card_visa")).collect())
            .await;
        let between = wal_bytes(&world).await;
        world.payments.capture(orders.iter().map(|order| capture(*order, 1)).collect()).await;
        (held, taken) = (held + between - begun, taken + wal_bytes(&world).await - between);
    }
    let per_order = |bytes: i64| bytes / ids.len() as i64;
    println!("WAL bytes per order: authorise {}, capture {}", per_order(held), per_order(taken));
    let hot = "select n_tup_upd, n_tup_hot_upd from pg_stat_user_tables where relname = 'payment'";
    sqlx::query("select pg_stat_force_next_flush()").execute(world.store.pool()).await.expect("flushed");
    let (updated, hot): (i64, i64) = sqlx::query_as(hot).fetch_one(world.store.pool()).await.expect("counts");
    println!("updates {updated}, of them HOT {hot}");
    world.balances().await;
}
