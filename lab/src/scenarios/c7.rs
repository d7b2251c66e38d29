//! C7: a load that began before a change and ends after it does not bring the old value back.

use banyan_lab::stage::{ShopClient, ShopOptions, Stage, until};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Cast, ENDED, Row, Shown, own_program, parts};

pub const ROW: Row = Row {
    name: "C7",
    title: "catalogue updates invalidate caches: a late fill cannot pass the floor that a change leaves",
    says: [
        "20 times, the load of a product is held open after it read the old price; the price is changed; then the",
        "load ends. Who asked before the change may get the old price. Who asks after it: which one?",
    ],
    without: &[(
        "cache-version",
        "a cache that keeps whatever was loaded last, and lets go what changes: the late load brings the old price back, for as long as the entry lives",
    )],
    file: "platform/bus/src/cache.rs",
    play: |cast| Box::pin(play(cast)),
};

const ROUNDS: usize = 20;
const OLD: i64 = 100;
const NEW: i64 = 200;

async fn play(cast: Cast) -> Shown {
    // In both ways the load is held open, so both are lab's own composition.
    let part = cast.without.unwrap_or(parts::HELD_LOADS);
    let options =
        ShopOptions { env: vec![(parts::WITHOUT.to_owned(), part.to_owned())], ..ShopOptions::args(&[]) };
    let stage = Stage::of(own_program());
    let shop = stage.shop("shop", options).await;
    let staff = shop.staff_token().await;
    let mut stale = 0;
    for round in 0..ROUNDS {
        let sku = format!("{}{round}", parts::HELD);
        put(&shop, &staff, &sku, OLD, None).await;
        let misses = misses(&shop).await;
        let (early, ()) = tokio::join!(price_of(&shop, &sku), async {
            until(ENDED, "the load to begin", async || (self::misses(&shop).await > misses).then_some(()))
                .await;
            put(&shop, &staff, &sku, NEW, Some(1)).await;
            // Which is there from the second round on, at the round's number.
            let seen = (round > 0).then_some(round as i64);
            put(&shop, &staff, parts::RELEASE, OLD + round as i64, seen).await;
        });
        let late = price_of(&shop, &sku).await;
        stale += usize::from(late == OLD);
        if round == 0 {
            println!("    asked before the change: {early}; asked after it: {late}");
        }
    }
    let figure = format!("{stale} of {ROUNDS} products were told at their old price after the change");
    Shown { figure, as_said: (stale > 0) == cast.without.is_some() }
}

async fn put(shop: &ShopClient, staff: &str, sku: &str, price: i64, seen: Option<i64>) {
    let wanted = json!({"products": [{"sku": sku, "name": sku, "category": "lab", "price_minor": price, "currency": "USD", "version": seen}]});
    let (status, answer) = shop.post("/v1/products", staff, &format!("c7-{sku}-{price}"), &wanted).await;
    assert_eq!(status, 200, "{answer}");
}

async fn price_of(shop: &ShopClient, sku: &str) -> i64 {
    let (status, product) = shop.get(&format!("/v1/products/{sku}"), "").await;
    assert_eq!(status, 200, "{product}");
    product["price"]["minor"].as_i64().unwrap_or_default()
}

async fn misses(shop: &ShopClient) -> u64 {
    let (_, caches): (u16, Value) = shop.operate(Method::GET, "/admin/caches", None).await;
    caches["caches"]["products"]["misses"].as_u64().unwrap_or_default()
}
