//! C2: a price changed at one shop is read at another, whose cache had the old one.

use std::time::Instant;

use banyan_lab::stage::{ShopClient, ShopOptions, until};
use reqwest::Method;
use serde_json::json;

use super::{Cast, ENDED, Row, SKUS, Shown, open, p50_p99};

pub const ROW: Row = Row {
    name: "C2",
    title: "distributed cache invalidation: what one shop changes, the other's cache lets go",
    says: [
        "Two shops run on one database. 50 times, a price that the second shop has in its cache is changed",
        "at the first one; the second is asked until it tells the new price. How long was it wrong?",
    ],
    without: &[],
    file: "platform/bus/src/cache.rs",
    play: |cast| Box::pin(play(cast)),
};

const ROUNDS: i64 = 50;

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let one = open(&stage, cast.options(&[])).await;
    let two = stage.shop("two", ShopOptions::beside(&one)).await;
    let staff = one.staff_token().await;
    let mut wrong_for_ms = Vec::new();
    for round in 1..=ROUNDS {
        let price = 1_000 + round;
        price_at(&two).await;
        let seen = one.get(&format!("/v1/products/{}", SKUS[0]), "").await.1["version"].clone();
        let wanted = json!({"products": [{"sku": SKUS[0], "name": "Tea", "category": "lab",
            "price_minor": price, "currency": "EUR", "version": seen}]});
        let (status, answer) = one.post("/v1/products", &staff, &format!("c2-{round}"), &wanted).await;
        assert_eq!(status, 200, "{answer}");
        let changed = Instant::now();
        until(ENDED, "the second shop to tell the new price", async || {
            (price_at(&two).await == price).then_some(())
        })
        .await;
        wrong_for_ms.push(changed.elapsed().as_secs_f64() * 1e3);
    }
    let (p50, p99) = p50_p99(&mut wrong_for_ms);
    let (_, caches) = two.operate(Method::GET, "/admin/caches", None).await;
    let products = &caches["caches"]["products"];
    let heard = products["invalidations"].as_i64().unwrap_or_default();
    let figure = format!(
        "{ROUNDS} changes at one shop, {heard} heard by the other: wrong for p50 {p50:.0} ms, p99 {p99:.0} ms; {} hits, {} misses",
        products["hits"], products["misses"]
    );
    Shown { figure, as_said: heard >= ROUNDS }
}

async fn price_at(shop: &ShopClient) -> i64 {
    let (status, product) = shop.get(&format!("/v1/products/{}", SKUS[0]), "").await;
    assert_eq!(status, 200, "{product}");
    product["price"]["minor"].as_i64().unwrap_or_default()
}
