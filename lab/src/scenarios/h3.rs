//! H3: a connection pool that is too small, seen in its waiting.

use banyan_lab::stage::{ShopClient, ShopOptions};
use tokio::time::Instant;

use super::{Cast, Row, Shown, findings, in_words, open, played};

pub const ROW: Row = Row {
    name: "H3",
    title: "connection pools: what writes wait for when there are too few connections",
    says: [
        "300 orders are shipped by a shop with two connections for each module, and by one with eight.",
        "Each says how long its writes waited for a connection: the first number that grows.",
    ],
    without: &[],
    file: "platform/store/src/write.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 300;

async fn play(cast: Cast) -> Shown {
    let mut waits = Vec::new();
    let mut clean = true;
    for pool in ["2", "8"] {
        let stage = cast.stage();
        let shop = open(&stage, ShopOptions::args(&["--pool", pool])).await;
        let began = Instant::now();
        played(&shop, "h3", ORDERS).await;
        let (seconds, (writes, waited_ms)) = (began.elapsed().as_secs_f64(), waited(&shop).await);
        let found = findings(&shop).await;
        clean &= found.is_empty();
        println!(
            "    {pool} connections a module: {writes} writes waited {waited_ms:.2} ms each for one; {:.0} orders/s; {}",
            ORDERS as f64 / seconds,
            in_words(&found)
        );
        waits.push(waited_ms);
    }
    let figure =
        format!("a write waited {:.2} ms with two connections, {:.2} ms with eight", waits[0], waits[1]);
    Shown { figure, as_said: clean && waits[0] > waits[1] }
}

/// How many writes there were, and how long each waited in the mean.
async fn waited(shop: &ShopClient) -> (f64, f64) {
    let metrics = shop.metrics().await;
    let sum = |name: &str| -> f64 {
        metrics.iter().filter(|(series, _)| series.starts_with(name)).map(|(_, value)| value).sum()
    };
    let writes = sum("banyan_pool_wait_duration_seconds_count");
    (writes, 1e3 * sum("banyan_pool_wait_duration_seconds_sum") / writes.max(1.0))
}
