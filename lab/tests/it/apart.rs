//! All modules in processes of their own: on the front's database, and each on one of its own.

use std::time::Duration;

use banyan_host::testing::{Receiver, Tree};
use banyan_lab::stage::{Apart, Databases, MODULES, Plan, ShopClient, ShopOptions, Stage, Wish, until};

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

/// The front, orders, those whom they ask, and those who hear them: all in one trace, which Kafka carries on.
#[tokio::test(flavor = "multi_thread")]
async fn one_order_is_one_tree_through_all_processes() {
    let Some(broker) = broker().await else { return };
    let (stage, collector) = (Stage::new(), Receiver::start());
    let env = vec![("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), collector.endpoint.clone())];
    let front = ShopOptions { env: env.clone(), ..ShopOptions::default() };
    let plan = Plan { databases: Databases::Own, front, env, ..Plan::one_of(&MODULES) };
    let mut apart = Apart::start(&stage, "shop", &broker, plan).await;
    let shop = apart.front.client();
    shop.stock(&SKUS, 100).await;
    let orders = shop.place_all(vec![Wish::of("ada", "traced", &SKUS)], 1).await;
    let ended = shop.settled(&orders, SETTLE).await.unwrap();
    assert_eq!(ended[&orders[0]]["state"], "shipped");
    shop.clean_audit(SETTLE).await;
    assert!(apart.stop().await, "what is told is sent at the stop");
    let tree: Tree = until(SETTLE, "the whole tree", async || {
        Some(collector.tree(&orders[0].replace('-', ""))).filter(Tree::is_whole)
    })
    .await;
    let text = tree.text();
    let told: Vec<String> =
        tree.0.iter().filter_map(|span| span.resource.get("service.name").cloned()).collect();
    for process in ["banyan", "orders", "inventory", "payments", "shipping", "notifications"] {
        assert!(told.iter().any(|name| name == process), "no span of {process}: {told:?}\n{text}");
    }
    let heard = tree.0.iter().filter(|span| span.kind == "consumer").count();
    assert!(heard >= 3, "inventory, shipping and notifications hear of it: {text}");
}
