//! J5: a module moves out and back by a flag, while customers buy.

use std::time::Duration;

use banyan_lab::stage::{Apart, MODULES, Plan, Seed, ShopClient, Shoppers, Stage, until};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Cast, ENDED, Row, SKUS, Shown, findings, in_words, taken_apart};

pub const ROW: Row = Row {
    name: "J5",
    title: "each move is driven by a feature flag",
    says: [
        "All six modules in the shop and in processes of their own. Inventory is shadowed, walked to 100 % and turned back, while customers buy.",
        "Then all six routes are turned at random for a minute, under 100 orders a second (goal: no request fails).",
    ],
    without: &[],
    file: "platform/net/src/route/mod.rs",
    play: |cast| Box::pin(play(cast)),
};

const CUSTOMERS: usize = 32;
/// An unoptimised program has its own measure: what is shown is that nothing fails, not how much goes through.
const ORDERS_PER_S: u32 = if cfg!(debug_assertions) { 8 } else { 100 };
const STEPS: &[u8] = if cfg!(debug_assertions) { &[50, 100] } else { &[10, 50, 100] };
/// Each side is asked three hundred items at each step.
const WALKED: Duration = Duration::from_secs(240);
const COMPARED: u64 = 40;
const FLIPPED_FOR: Duration = Duration::from_secs(if cfg!(debug_assertions) { 15 } else { 60 });
const BETWEEN_FLIPS: Duration = Duration::from_millis(100);

async fn play(cast: Cast) -> Shown {
    let stage: Stage = cast.stage();
    let plan = Plan { routed: true, ..Plan::one_of(&MODULES) };
    let apart: Apart = match taken_apart(&stage, plan).await {
        Ok(apart) => apart,
        Err(shown) => return shown,
    };
    let shop = apart.front.client();
    shop.stock(&SKUS, 1_000_000).await;
    let shoppers = Shoppers::start(&shop, ("walked", CUSTOMERS), &SKUS, Some(ORDERS_PER_S));
    let (arrived, walked) = walked(&shop).await;
    let mut shopped = shoppers.stop().await;
    let shoppers = Shoppers::start(&shop, ("flipped", CUSTOMERS), &SKUS, Some(ORDERS_PER_S));
    let flips = flipped(&shop, &mut Seed::of(cast.seed)).await;
    let more = shoppers.stop().await;
    shopped.orders.extend(more.orders.iter().cloned());
    shopped.failed.extend(more.failed);
    let ended = shop.settled(&shopped.orders, ENDED).await.unwrap_or_else(|why| panic!("{why}"));
    let shipped = super::count(&ended, "shipped");
    let (found, different) = (findings(&shop).await, different(&shop).await);
    let figure = format!(
        "{walked}; then {flips} turns at random over {:.0} orders/s; {} orders, {} requests besides, {} failed, {} asked for again; {different} answers differed; {}",
        more.orders.len() as f64 / FLIPPED_FOR.as_secs_f64(),
        shopped.orders.len(),
        shopped.looks + more.looks,
        shopped.failed.len(),
        shopped.again + more.again,
        in_words(&found),
    );
    let as_said = arrived
        && shopped.failed.is_empty()
        && shipped == shopped.orders.len()
        && different == 0
        && found.is_empty();
    Shown { figure, as_said }
}

async fn route(shop: &ShopClient, module: &str) -> Value {
    shop.operate(Method::GET, &format!("/admin/routes/{module}"), None).await.1
}

async fn turn(shop: &ShopClient, module: &str, to: &str, percent: Option<u8>) {
    let revision = route(shop, module).await["revision"].clone();
    let wish = json!({"to": to, "percent": percent, "reason": "row J5", "revision": revision});
    let (status, answer) = shop.operate(Method::PUT, &format!("/admin/routes/{module}"), Some(&wish)).await;
    assert_eq!(status, 200, "{answer}");
}

/// Into the shadow, out, and back; in words.
async fn walked(shop: &ShopClient) -> (bool, String) {
    turn(shop, "inventory", "shadow", None).await;
    let compared = until(ENDED, "answers to be compared", async || {
        let compared = route(shop, "inventory").await["compared"].clone();
        let count = |what: &str| compared[what].as_u64().unwrap_or_default();
        // What is asked about changes all the while.
        (count("same") > 0 && count("same") + count("moved") >= COMPARED).then_some(compared)
    });
    let compared = compared.await;
    let revision = route(shop, "inventory").await["revision"].clone();
    let wish = json!({"steps": STEPS, "every_s": 2, "reason": "row J5", "revision": revision});
    let (status, answer) = shop.operate(Method::POST, "/admin/routes/inventory/walk", Some(&wish)).await;
    assert_eq!(status, 200, "{answer}");
    let began = Instant::now();
    let ended = until(WALKED, "the walk to end", async || {
        Some(route(shop, "inventory").await).filter(|route| route["walk"]["end"].is_string())
    });
    let (ended, took) = (ended.await, began.elapsed());
    turn(shop, "inventory", "local", None).await;
    let ms = |side: &str| ended[side]["p95_ms"].as_f64().unwrap_or(f64::NAN);
    let words = format!(
        "{} answers in the shadow the same, {} moved meanwhile; walked {STEPS:?} % in {:.0} s: {} ({}), p95 here {:.1} ms, there {:.1} ms",
        compared["same"],
        compared["moved"],
        took.as_secs_f64(),
        ended["walk"]["end"].as_str().unwrap_or_default(),
        ended["walk"]["says"].as_str().unwrap_or_default(),
        ms("here"),
        ms("there")
    );
    (ended["walk"]["end"] == "arrived", words)
}

/// How often the routes were turned.
async fn flipped(shop: &ShopClient, seed: &mut Seed) -> usize {
    let (began, mut flips) = (Instant::now(), 0);
    while began.elapsed() < FLIPPED_FOR {
        let module = MODULES[seed.below(6) as usize];
        let (to, percent) = [("local", None), ("shadow", None), ("remote", None), ("remote", Some(50))]
            [seed.below(4) as usize];
        turn(shop, module, to, percent).await;
        flips += 1;
        tokio::time::sleep(BETWEEN_FLIPS).await;
    }
    flips
}

/// Answers that were not the same, over all routes.
async fn different(shop: &ShopClient) -> u64 {
    let all = shop.operate(Method::GET, "/admin/routes", None).await.1;
    let all = all["routes"].as_array().into_iter().flatten();
    all.filter_map(|route| route["compared"]["different"].as_u64()).sum()
}
