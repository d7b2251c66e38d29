//! B5: a service is killed in the middle of transactions, and recovers.

use banyan_lab::stage::{MODULES, Plan, until};
use banyan_store::sqlx::{self, PgPool};
use tokio::time::Instant;

use super::{Cast, ENDED, Row, SKUS, Shown, baskets, findings, in_words, taken_apart};

pub const ROW: Row = Row {
    name: "B5",
    title: "a service killed in the middle of a transaction, and its recovery",
    says: [
        "Six services. Orders come in; inventory, payments, shipping, then orders is killed with -9 amid them and started again.",
        "No order is lost or done twice. For each: how many orders were open at the kill, how soon after the restart the last ended.",
    ],
    without: &[],
    file: "modules/orders/core/src/drive.rs",
    play: |cast| Box::pin(play(cast)),
};

const KILLED: [&str; 4] = ["inventory", "payments", "shipping", "orders"];
const COUNT: &str = "select count(*), count(*) filter (where open) from orders.orders";
const ORDERS: usize = 60;
/// Of them so many are placed when it happens.
const PLACED: usize = 20;

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let mut apart = match taken_apart(&stage, Plan::one_of(&MODULES)).await {
        Ok(apart) => apart,
        Err(shown) => return shown,
    };
    apart.front.stock(&SKUS, 100_000).await;
    let (mut figures, mut all_ended) = (Vec::new(), true);
    let (shop, database) = (apart.front.client(), apart.front.superuser_pool_of("orders"));
    for module in KILLED {
        let placing = {
            let (shop, name) = (shop.clone(), format!("b5-{module}"));
            tokio::spawn(async move { shop.place_all(baskets(&name, ORDERS), 8).await })
        };
        let before = orders_open(&database).await.0;
        until(ENDED, "orders to be under way", async || {
            (orders_open(&database).await.0 >= before + PLACED).then_some(())
        })
        .await;
        let open = orders_open(&database).await.1;
        apart.service(module).kill9().await;
        let killed = Instant::now();
        apart.service(module).restart().await;
        let restarted = killed.elapsed();
        let orders = placing.await.expect("who orders does not panic");
        let ended = shop.settled(&orders, ENDED).await;
        all_ended &= ended.is_ok();
        let back = killed.elapsed() - restarted;
        println!(
            "    {module}: {open} open at the kill, ready again {:.1} s later, {} {:.1} s after that",
            restarted.as_secs_f64(),
            if ended.is_ok() { "the last order ended" } else { "NOT ALL ENDED" },
            back.as_secs_f64()
        );
        figures.push(format!("{module} {:.1} s", back.as_secs_f64()));
    }
    let found = findings(&apart.front).await;
    let figure = format!(
        "the last order ended so long after the restart: {}; {}",
        figures.join(", "),
        in_words(&found)
    );
    Shown { figure, as_said: all_ended && found.is_empty() }
}

/// All that were placed, and those of them that are open.
async fn orders_open(database: &PgPool) -> (usize, i64) {
    let counted = sqlx::query_as(COUNT).fetch_one(database).await;
    let (all, open): (i64, i64) = counted.expect("the server lives, whoever is killed");
    (usize::try_from(all).unwrap_or_default(), open)
}
