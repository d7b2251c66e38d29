//! C5: the public's count of stock is right in the end, and says as of when it is.

use std::time::Instant;

use banyan_lab::stage::{ShopClient, until, within};
use serde_json::Value;

use super::{Cast, ENDED, Row, SKUS, Shown, findings, in_words, open, played};

pub const ROW: Row = Row {
    name: "C5",
    title: "an inventory count that is eventually consistent, and says as of when",
    says: [
        "200 orders take stock while the public's count of each product is watched beside the real one:",
        "how far apart are they at worst, and how long until they agree when it is over?",
    ],
    without: &[(
        "consumer",
        "nobody applies what inventory tells: the count stands still, and says the time at which it stopped",
    )],
    file: "modules/inventory/core/src/public.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 200;
/// How long a count that nobody applies is given to show that it moves after all.
const STANDS_STILL: std::time::Duration = std::time::Duration::from_secs(3);

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let shop = open(&stage, cast.options(&[])).await;
    let staff = shop.staff_token().await;
    if cast.without.is_none() {
        let told = async || (difference(&shop, &staff).await == 0).then_some(());
        until(ENDED, "the public to be told of what came in", told).await;
    }
    let mut apart = 0;
    let watching = async {
        loop {
            apart = apart.max(difference(&shop, &staff).await);
        }
    };
    tokio::select! {
        _ = played(&shop, "c5", ORDERS) => {}
        () = watching => {}
    }
    let over = Instant::now();
    let found = findings(&shop).await;
    if cast.without.is_some() {
        let agrees = within(STANDS_STILL, "the counts to agree", async || {
            (difference(&shop, &staff).await == 0).then_some(())
        });
        let stands = agrees.await.is_err();
        let left = difference(&shop, &staff).await;
        let figure =
            format!("the public's count is {left} pieces wrong and stays so: {stands}; {}", in_words(&found));
        return Shown { figure, as_said: stands && left > 0 };
    }
    until(ENDED, "the counts to agree", async || (difference(&shop, &staff).await == 0).then_some(())).await;
    let figure = format!(
        "at most {apart} pieces apart while {ORDERS} orders were placed; agreed {:.0} ms after the last had ended; {}",
        over.elapsed().as_secs_f64() * 1e3,
        in_words(&found)
    );
    Shown { figure, as_said: found.is_empty() }
}

/// By how many pieces the public's counts and the real ones differ, over all products.
async fn difference(shop: &ShopClient, staff: &str) -> i64 {
    let mut sum = 0;
    for sku in SKUS {
        let (told, public): (u16, Value) = shop.get(&format!("/v1/products/{sku}/availability"), "").await;
        let (_, real) = shop.get(&format!("/v1/stock/{sku}"), staff).await;
        let public = if told == 200 { public["available"].as_i64().unwrap_or_default() } else { 0 };
        sum += (real["on_hand"].as_i64().unwrap_or_default() - public).abs();
    }
    sum
}
