//! Modules that are in the shop and in processes of their own, moved by their routes.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use banyan_lab::stage::{Apart, MODULES, Plan, Seed, ShopClient, Stage, Wish, until};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::carrier::broker;

const SETTLE: Duration = Duration::from_secs(120);
const SKUS: [&str; 3] = ["APPLE", "PEAR", "PLUM"];
const CUSTOMERS: usize = 6;
/// How often a customer asks again.
const TURNS: usize = 20;
/// What everybody may look at.
const PATHS: [&str; 5] = [
    "/v1/products/APPLE/availability",
    "/v1/products/PEAR",
    "/v1/products?search=PLUM",
    "/v1/orders",
    "/v1/customers/me",
];

/// As a customer does who is told to ask again: with the same key. On a busy machine a lock may not be had within its second, which is
/// no failure; how often is printed.
async fn bought(shop: &ShopClient, wish: &Wish, again: &AtomicUsize) -> Result<String, String> {
    for _ in 0..TURNS {
        match shop.try_place(wish).await {
            Ok(answer) if answer.status == 201 => {
                return Ok(answer.json["id"].as_str().unwrap_or_default().to_owned());
            }
            Ok(answer) if answer.status == 503 => again.fetch_add(1, SeqCst),
            other => return Err(format!("order: {other:?}")),
        };
    }
    Err(format!("refused {TURNS} times: {wish:?}"))
}

/// What was done so far.
#[derive(Default)]
struct Done {
    stop: AtomicBool,
    placed: AtomicUsize,
    again: AtomicUsize,
    looks: AtomicUsize,
}

/// One who buys and looks, until they are stopped: all orders, and what failed.
async fn customer(shop: ShopClient, who: String, done: Arc<Done>) -> (Vec<String>, Vec<String>) {
    let token = shop.customer_token(&who).await;
    let (mut orders, mut failed) = (Vec::new(), Vec::new());
    for n in 0_usize.. {
        if done.stop.load(SeqCst) {
            break;
        }
        let wish = Wish::of(&who, &format!("wish-{n}"), &SKUS[..=n % 3]);
        match bought(&shop, &wish, &done.again).await {
            Ok(order) => orders.push(order),
            Err(why) => failed.push(why),
        }
        done.placed.fetch_add(1, SeqCst);
        for path in PATHS {
            // Who has never said how they are reached has no contact, and that is an answer.
            let (status, answer) = shop.get(path, &token).await;
            if !matches!((status, path), (200, _) | (404, "/v1/customers/me")) {
                failed.push(format!("{path}: {status} {answer}"));
            }
            done.looks.fetch_add(1, SeqCst);
        }
    }
    (orders, failed)
}

/// Customers who each wait for their answers.
struct Load {
    done: Arc<Done>,
    customers: JoinSet<(Vec<String>, Vec<String>)>,
}

impl Load {
    fn start(shop: &ShopClient, name: &'static str) -> Self {
        let (done, mut customers) = (Arc::<Done>::default(), JoinSet::new());
        for n in 0..CUSTOMERS {
            customers.spawn(customer(shop.clone(), format!("{name}-{n}"), done.clone()));
        }
        Self { done, customers }
    }

    /// Until so many more orders were placed.
    async fn goes_on(&self, orders: usize) {
        let (placed, before) = (&self.done.placed, self.done.placed.load(SeqCst));
        let enough = async || (placed.load(SeqCst) >= before + orders).then_some(());
        until(SETTLE, "orders to be placed", enough).await;
    }

    /// All orders, and what failed.
    async fn stop(self) -> (Vec<String>, Vec<String>) {
        self.done.stop.store(true, SeqCst);
        let (orders, failed): (Vec<_>, Vec<_>) = self.customers.join_all().await.into_iter().unzip();
        let [placed, again, looks] =
            [&self.done.placed, &self.done.again, &self.done.looks].map(|count| count.load(SeqCst));
        println!("{placed} orders, {again} asked for again, {looks} looks");
        (orders.concat(), failed.concat())
    }
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

async fn ended_well(shop: &ShopClient, orders: &[String]) {
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
    let load = Load::start(&shop, "out");
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
    let (orders, failed) = load.stop().await;
    assert_eq!(failed, [""; 0]);
    ended_well(&shop, &orders).await;
    let changes = route(&shop, "inventory").await["changes"].clone();
    assert_eq!(changes.as_array().map(Vec::len), Some(4), "{changes}");

    let load = Load::start(&shop, "failing");
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
    let (orders, _) = load.stop().await;
    ended_well(&shop, &orders).await;
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
    const FLIPS: usize = 40;
    let stage = Stage::new();
    let Some((mut apart, shop)) = routed(&stage, &MODULES).await else { return };
    let mut seed = Seed::from_env("flips");
    let load = Load::start(&shop, "flipped");
    for _ in 0..FLIPS {
        let (module, which) = (MODULES[seed.draw() as usize % MODULES.len()], seed.draw() as usize % 4);
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
    let (orders, failed) = load.stop().await;
    assert_eq!(failed, [""; 0]);
    ended_well(&shop, &orders).await;
    for module in MODULES {
        let route = route(&shop, module).await;
        assert_eq!(route["differences"], json!([]), "{module}");
    }
    assert!(apart.stop().await, "all drain");
}
