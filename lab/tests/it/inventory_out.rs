//! Inventory in a process of its own, on the database that it shares with the shop.

use std::time::Duration;

use banyan_lab::stage::{Apart, Plan, ShopClient, ShopOptions, Stage, Wish, until};
use banyan_store::sqlx;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::carrier::broker;

const SETTLE: Duration = Duration::from_secs(120);
const SKUS: [&str; 3] = ["APPLE", "PEAR", "PLUM"];
const CUSTOMERS: usize = 6;
const EACH: usize = 50;
const PLACED: &str = "select count(*) from orders.orders";
const HELD: &str = "select count(*) from inventory.reservation where state = 'held'";
const RECEIPTS: &str = "select count(*) from inventory.receipt";
const OPEN: &str = "select count(*) from orders.orders where open";

async fn count(shop: &ShopClient, sql: &'static str) -> i64 {
    sqlx::query_scalar(sql).fetch_one(&shop.superuser_pool()).await.expect("a count")
}

async fn reaches(shop: &ShopClient, sql: &'static str, at_least: i64) {
    until(SETTLE, sql, async || (count(shop, sql).await >= at_least).then_some(())).await;
}

/// Customers who each place their orders one after the other.
fn customers(shop: &ShopClient) -> JoinSet<Vec<String>> {
    let mut all = JoinSet::new();
    for customer in 0..CUSTOMERS {
        let shop = shop.clone();
        all.spawn(async move {
            let mut placed = Vec::new();
            for n in 0..EACH {
                let skus = &SKUS[..=(n % SKUS.len())];
                placed.push(
                    shop.place(&Wish::of(&format!("customer-{customer}"), &format!("wish-{n}"), skus)).await,
                );
            }
            placed
        });
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_are_shipped_through_the_kill_of_the_process_that_keeps_the_stock() {
    let Some(broker) = broker().await else { return };
    let stage = Stage::new();
    let mut apart = Apart::start(&stage, "shop", &broker, Plan::one_of(&["inventory"])).await;
    let shop = apart.front.client();
    shop.stock(&SKUS, 1_000).await;
    let status = shop.operate(reqwest::Method::GET, "/admin/status", None).await.1;
    let groups = &status["processes"][0]["about"]["groups"];
    let ours: Vec<&String> = groups.as_object().expect("groups").keys().collect();
    assert!(!ours.iter().any(|group| group.starts_with("inventory.")), "one owner: {ours:?}");
    let (status, ready) = apart.service("inventory").ready().await.expect("an answer");
    assert_eq!((status.as_u16(), &ready["dependencies"]["database"]["ready"]), (200, &Value::Bool(true)));

    let customers = customers(&shop);
    reaches(&shop, PLACED, 80).await;
    apart.service("inventory").kill9().await;
    let held = count(&shop, HELD).await;
    let placed: Vec<String> = customers.join_all().await.concat();
    assert_eq!(placed.len(), CUSTOMERS * EACH, "orders are taken while their stock is kept by nobody");
    let open = count(&shop, OPEN).await;
    assert!(open > 100, "only {open} orders wait");
    apart.service("inventory").restart().await;
    let began = std::time::Instant::now();
    let ended = shop.settled(&placed, SETTLE).await.expect("every order ends");
    println!(
        "{held} held and {open} open at the kill; the last one ended {:?} after the restart",
        began.elapsed()
    );
    assert!(ended.values().all(|order| order["state"] == "shipped"), "{ended:?}");
    shop.clean_audit(SETTLE).await;
    assert!(apart.stop().await, "all drain");
    drop(broker);
    assert_eq!(stage.processes(), [0; 0], "nobody stays behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_processes_that_keep_the_stock_one_may_die_for_good() {
    let Some(broker) = broker().await else { return };
    let stage = Stage::new();
    let plan = Plan { services: vec![("inventory", 2)], ..Plan::default() };
    let mut apart = Apart::start(&stage, "shop", &broker, plan).await;
    let shop = apart.front.client();
    shop.stock(&SKUS, 1_000).await;
    let customers = customers(&shop);
    reaches(&shop, PLACED, 80).await;
    apart.service("inventory").kill9().await;
    let began = std::time::Instant::now();
    let placed: Vec<String> = customers.join_all().await.concat();
    let ended = shop.settled(&placed, SETTLE).await.expect("every order ends");
    println!("{} orders, the last one ended {:?} after the kill", placed.len(), began.elapsed());
    assert!(ended.values().all(|order| order["state"] == "shipped"), "{ended:?}");
    shop.clean_audit(SETTLE).await;
}

/// A shop that would book its orders' stock in another database than its own does not open; and one that finds out only later
/// books nothing there.
#[tokio::test(flavor = "multi_thread")]
async fn a_service_on_another_database_is_not_called() {
    let Some(broker) = broker().await else { return };
    let stage = Stage::new();
    let mut apart = Apart::start(&stage, "shop", &broker, Plan::one_of(&["inventory"])).await;
    let shop = apart.front.client();
    // The same key and the same inventory: it is the database alone that differs.
    let like = ShopOptions { env: apart.like_front(), ..ShopOptions::default() };
    let mut other = stage.shop("other", ShopOptions::default()).await;
    assert!(other.stop().await.success());
    let data = other.data.display().to_string();
    let args = ["serve", "--data", &data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut refused = stage.command(&args);
    refused.envs(like.env.iter().cloned());
    let refused = refused.output().expect("it runs");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("another database"), "{said}");

    // The service is away while the other shop starts, which finds out with its first call.
    apart.service("inventory").kill9().await;
    let other = stage.shop("third", like).await;
    apart.service("inventory").restart().await;
    let before = count(&shop, RECEIPTS).await;
    let token = other.staff_token().await;
    let products = serde_json::json!({"products": [{"sku": "APPLE", "name": "A", "category": "LAB", "price_minor": 1, "currency": "EUR"}]});
    assert!(other.post("/v1/products", &token, "products", &products).await.0 < 300);
    let body = serde_json::json!({"lines": [{"sku": "APPLE", "quantity": 1}]});
    let (status, problem) = other.post("/v1/stock/receipts", &token, "receipt", &body).await;
    assert_eq!(status, 503, "{problem}");
    assert_eq!(count(&shop, RECEIPTS).await, before);
}
