//! Modules that are in the shop and in processes of their own, moved by their routes.

use std::{collections::BTreeMap, time::Duration};

use banyan_lab::stage::{Apart, MODULES, Plan, Seed, ShopClient, Shopped, Shoppers, Stage, until};
use reqwest::Method;
use serde_json::{Value, json};

use crate::carrier::broker;

const SETTLE: Duration = Duration::from_secs(120);
const SKUS: [&str; 3] = ["APPLE", "PEAR", "PLUM"];
const CUSTOMERS: usize = 6;
fn shoppers(shop: &ShopClient, name: &'static str) -> Shoppers {
    Shoppers::start(shop, (name, CUSTOMERS), &SKUS, None)
}

async fn routed(stage: &Stage, modules: &[&'static str]) -> Option<(Apart, ShopClient)> {
    let broker = broker().await?;
    let apart = Apart::start(stage, "shop", &broker, Plan { routed: true, ..Plan::one_of(modules) }).await;
    let shop = apart.front.client();
    shop.stock(&SKUS, 1_000_000).await;
    Some((apart, shop))
}

async fn route(shop: &ShopClient, module: &str) -> Value {
    let (status, route) = shop.operate(Method::GET, &format!("/admin/routes/{module}"), None).await;
    assert_eq!(status, 200, "{route}");
    route
}

async fn turn(shop: &ShopClient, module: &str, to: Value) -> (u16, Value) {
    let revision = route(shop, module).await["revision"].clone();
    let mut wish = json!({"reason": "a test", "revision": revision});
    for (name, value) in to.as_object().expect("an object") {
        wish[name] = value.clone();
    }
    shop.operate(Method::PUT, &format!("/admin/routes/{module}"), Some(&wish)).await
}

async fn printed(shop: &ShopClient, args: &[&str]) -> (bool, String) {
    let output = shop.banyan(args).await;
    let said = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&said).into_owned())
}

async fn ended_well(shop: &ShopClient, shopped: &Shopped) {
    let Shopped { orders, again, looks, .. } = shopped;
    println!("{} orders, {again} asked for again, {looks} looks", orders.len());
    let ended = shop.settled(orders, SETTLE).await.expect("every order ends");
    let mut states: BTreeMap<String, usize> = BTreeMap::new();
    for order in ended.values() {
        *states.entry(order["state"].to_string()).or_default() += 1;
    }
    assert_eq!(states.keys().collect::<Vec<_>>(), ["\"shipped\""], "{states:?}");
    shop.clean_audit(SETTLE).await;
}

/// Out, in the shadow at first, and back; then out again, and back by the guard when the service fails.
#[tokio::test(flavor = "multi_thread")]
async fn inventory_is_walked_to_its_service_and_back_while_the_shop_sells() {
    let stage = Stage::new();
    let Some((mut apart, shop)) = routed(&stage, &["inventory"]).await else { return };
    let load = shoppers(&shop, "out");
    let (done, said) = printed(&shop, &["route", "inventory", "--to", "shadow"]).await;
    assert!(done, "{said}");
    until(SETTLE, "questions to be compared", async || {
        let compared = route(&shop, "inventory").await["compared"].clone();
        (compared["same"].as_u64() >= Some(100)).then_some(())
    })
    .await;
    let (_, differences) = printed(&shop, &["route", "inventory", "--diff"]).await;
    assert!(differences.contains("both sides have said the same"), "{differences}");
    let walk = ["route", "inventory", "--to", "remote", "--steps", "50,100", "--every", "1s"];
    let (arrived, said) = printed(&shop, &walk).await;
    assert!(arrived && said.contains("arrived"), "{said}");
    load.goes_on(60).await;
    let there = route(&shop, "inventory").await;
    assert_eq!(there["weights"], json!({"local": 0, "remote": 1_000, "shadow": 0}));
    let (done, said) =
        printed(&shop, &["route", "inventory", "--to", "local", "--reason", "enough seen"]).await;
    assert!(done && said.contains("enough seen"), "{said}");
    load.goes_on(20).await;
    let shopped = load.stop().await;
    assert_eq!(shopped.failed, [""; 0]);
    ended_well(&shop, &shopped).await;
    let changes = route(&shop, "inventory").await["changes"].clone();
    assert_eq!(changes.as_array().map(Vec::len), Some(4), "{changes}");

    let load = shoppers(&shop, "failing");
    let walk = json!({"steps": [50, 100], "every_s": 600, "reason": "it will fail", "revision": changes[0]["revision"]});
    let (status, begun) = shop.operate(Method::POST, "/admin/routes/inventory/walk", Some(&walk)).await;
    assert_eq!(status, 200, "{begun}");
    let (second, said) = printed(&shop, &["route", "inventory", "--to", "local"]).await;
    assert!(!second && said.contains("it will fail"), "the second operator is told: {said}");
    apart.service("inventory").kill9().await;
    let walk = until(SETTLE, "the guard to turn back", async || {
        Some(route(&shop, "inventory").await["walk"].clone()).filter(|walk| walk["end"].is_string())
    })
    .await;
    assert_eq!(walk["end"], "turned_back", "{walk}");
    let after = route(&shop, "inventory").await;
    assert_eq!(after["weights"]["local"], 1_000, "{after}");
    assert_eq!(after["changes"][0]["actor"], "system:guard", "{after}");
    let shopped = load.stop().await;
    ended_well(&shop, &shopped).await;
    let (status, problem) = turn(&shop, "inventory", json!({"to": "remote"})).await;
    assert_eq!(
        (status, route(&shop, "inventory").await["weights"]["local"].clone()),
        (503, json!(1_000)),
        "{problem}"
    );
}

/// Where each item goes changes under it all the time: both sides are one module.
#[tokio::test(flavor = "multi_thread")]
async fn all_six_routes_are_flipped_at_random_and_nobody_notices() {
    const FLIPS: usize = 30;
    let stage = Stage::new();
    let Some((mut apart, shop)) = routed(&stage, &MODULES).await else { return };
    let mut seed = Seed::from_env("flips");
    let load = shoppers(&shop, "flipped");
    for _ in 0..FLIPS {
        let (module, which) = (MODULES[seed.below(6) as usize], seed.below(4) as usize);
        let to = [
            json!({"to": "local"}),
            json!({"to": "shadow"}),
            json!({"to": "remote"}),
            json!({"to": "remote", "percent": 50}),
        ];
        let (status, route) = turn(&shop, module, to[which].clone()).await;
        assert_eq!(status, 200, "{route}");
        load.goes_on(2).await;
    }
    let shopped = load.stop().await;
    assert_eq!(shopped.failed, [""; 0]);
    ended_well(&shop, &shopped).await;
    for module in MODULES {
        let route = route(&shop, module).await;
        assert_eq!(route["differences"], json!([]), "{module}");
    }
    assert!(apart.stop().await, "all drain");
}
