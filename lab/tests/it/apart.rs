//! All modules in processes of their own: on the front's database, and each on one of its own.

use std::time::Duration;

use banyan_lab::stage::{Apart, Databases, MODULES, Plan, ShopClient, Stage, Wish};

use crate::carrier::broker;

const SETTLE: Duration = Duration::from_secs(120);
const SKUS: [&str; 3] = ["APPLE", "PEAR", "PLUM"];

/// So many orders of several customers, each to its end.
async fn shipped(shop: &ShopClient, name: &str, count: usize) {
    let wish = |n: usize| Wish::of(&format!("customer-{}", n % 5), &format!("{name}-{n}"), &SKUS[..=n % 3]);
    let orders = shop.place_all((0..count).map(wish).collect(), 8).await;
    let ended = shop.settled(&orders, SETTLE).await.unwrap();
    let other = ended.values().find(|order| order["state"] != "shipped");
    assert_eq!(other, None);
}

async fn sells_with_all_out(databases: Databases) {
    let Some(broker) = broker().await else { return };
    let stage = Stage::new();
    let plan = Plan { databases, ..Plan::one_of(&MODULES) };
    let mut apart = Apart::start(&stage, "shop", &broker, plan).await;
    let shop = apart.front.client();
    shop.stock(&SKUS, 1_000).await;
    shipped(&shop, "first", 60).await;
    for module in ["orders", "payments"] {
        apart.service(module).kill9().await;
        apart.service(module).restart().await;
    }
    shipped(&shop, "second", 60).await;
    shop.clean_audit(SETTLE).await;
    assert!(apart.stop().await, "all drain");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_modules_out_on_one_database_the_shop_sells() {
    sells_with_all_out(Databases::Shared).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_all_modules_out_each_on_its_own_database_the_shop_sells() {
    sells_with_all_out(Databases::Own).await;
}
