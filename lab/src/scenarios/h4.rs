//! H4: how often the cache has what is asked for.

use reqwest::Method;

use super::{Cast, Row, SKUS, Shown, findings, in_words, open, played};

pub const ROW: Row = Row {
    name: "H4",
    title: "cache hit ratios: what a cache saves, counted",
    says: [
        "The eight products of the lab are looked at 400 times each, and 100 orders are priced.",
        "The cache says how often it had them, how much it holds, and what it refused to keep.",
    ],
    without: &[],
    file: "extracted/catalog/http/src/cached.rs",
    play: |cast| Box::pin(play(cast)),
};

const LOOKS: usize = 400;
const ORDERS: usize = 100;

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let shop = open(&stage, cast.options(&[])).await;
    for _ in 0..LOOKS {
        let looks = SKUS.map(|sku| {
            let shop = shop.client();
            async move { shop.get(&format!("/v1/products/{sku}"), "").await.0 }
        });
        assert!(futures::future::join_all(looks).await.iter().all(|status| *status == 200));
    }
    played(&shop, "h4", ORDERS).await;
    let found = findings(&shop).await;
    let (_, caches) = shop.operate(Method::GET, "/admin/caches", None).await;
    let products = &caches["caches"]["products"];
    let number = |name: &str| products[name].as_u64().unwrap_or_default();
    let (hits, misses) = (number("hits"), number("misses"));
    let ratio = hits as f64 / (hits + misses).max(1) as f64;
    let figure = format!(
        "products: {:.1} % of {} found in memory, {} entries of {} bytes, {} loads refused as too old; {}",
        100.0 * ratio,
        hits + misses,
        number("entries"),
        number("bytes"),
        number("refused"),
        in_words(&found)
    );
    Shown { figure, as_said: ratio > 0.9 && found.is_empty() }
}
