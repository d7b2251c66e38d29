//! Customers over HTTP: the sample's baskets, each under a key of its own, without faults.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use banyan_lab::stage::{ShopClient, until};
use banyan_store::sqlx::{self, PgPool};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

/// Orders that are accepted and not ended: customers pause beyond it, so that a slice ends soon after it took
/// its last order.
const OPEN_MAX: i64 = 1_500;
/// Products of one request.
const CHUNK: usize = 200;
/// A token is made by a process of its own, so there are few customers.
const CUSTOMERS: usize = 16;
const PAUSE: Duration = Duration::from_millis(10);
const DEADLINE: Duration = Duration::from_secs(180);
const OPEN: &str = "select count(*) from orders.orders where open";

/// Customers and their baskets.
#[derive(Clone)]
pub struct Load {
    shop: ShopClient,
    database: PgPool,
    tokens: Arc<Vec<String>>,
    baskets: Arc<Vec<Value>>,
    next: Arc<AtomicUsize>,
    in_flight: u16,
}

impl Load {
    /// Puts the sample's products on the shelf, a million of each.
    pub async fn new(shop: &ShopClient, in_flight: u16) -> Self {
        let text = include_str!("../../../app/sample/sample.jsonl");
        let records: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let baskets: Vec<Value> = records.iter().filter(|r| r.get("basket").is_some()).map(body).collect();
        stock(shop, &records, &baskets).await;
        let mut tokens = Vec::new();
        for n in 0..CUSTOMERS {
            tokens.push(shop.customer_token(&format!("customer-{n}")).await);
        }
        let (tokens, baskets, next) = (Arc::new(tokens), Arc::new(baskets), Arc::default());
        Self { shop: shop.clone(), database: shop.superuser_pool(), tokens, baskets, next, in_flight }
    }

    /// Places orders for so long and waits until the last has ended: how many, and how long all took.
    pub async fn slice(&self, duration: Duration) -> (usize, Duration) {
        let begun = Instant::now();
        let placed = self.place(usize::MAX, begun + duration).await;
        self.ended().await;
        (placed, begun.elapsed())
    }

    /// Places so many orders and waits until the last has ended.
    pub async fn orders(&self, count: usize) {
        self.place(count, Instant::now() + DEADLINE).await;
        self.ended().await;
    }

    async fn place(&self, most: usize, deadline: Instant) -> usize {
        let (open, over) = (Arc::new(AtomicI64::new(0)), Arc::new(AtomicBool::new(false)));
        let watcher = tokio::spawn(watch(self.database.clone(), open.clone(), over.clone()));
        let first = self.next.load(Relaxed);
        let last = first.saturating_add(most);
        let mut customers = JoinSet::new();
        for _ in 0..self.in_flight {
            let (load, open) = (self.clone(), open.clone());
            customers.spawn(async move { load.customer(&open, last, deadline).await });
        }
        let placed = customers.join_all().await.iter().sum();
        over.store(true, Relaxed);
        watcher.await.expect("a watcher that ends");
        self.next.store(first + placed, Relaxed);
        placed
    }

    async fn customer(&self, open: &AtomicI64, last: usize, deadline: Instant) -> usize {
        let mut placed = 0;
        while Instant::now() < deadline {
            if open.load(Relaxed) > OPEN_MAX {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let n = self.next.fetch_add(1, Relaxed);
            if n >= last {
                break;
            }
            self.order(n).await;
            placed += 1;
        }
        placed
    }

    /// Asks with the same key until it is accepted.
    async fn order(&self, n: usize) {
        let url = format!("{}/v1/orders", self.shop.api);
        let (token, body) = (&self.tokens[n % CUSTOMERS], &self.baskets[n % self.baskets.len()]);
        let key = format!("bench-{n}");
        let deadline = Instant::now() + DEADLINE;
        while Instant::now() < deadline {
            match self.shop.ask(Method::POST, &url, token, Some(&key), Some(body)).await {
                Ok(answer) if answer.status == 201 => return,
                Ok(answer) if !matches!(answer.status, 409 | 429 | 503) => {
                    panic!("{} {}", answer.status, answer.json)
                }
                _ => tokio::time::sleep(PAUSE).await,
            }
        }
        panic!("an order was not accepted within {DEADLINE:?}");
    }

    async fn ended(&self) {
        until(DEADLINE, "the last order to end", async || {
            let open: i64 = sqlx::query_scalar(OPEN).fetch_one(&self.database).await.ok()?;
            (open == 0).then_some(())
        })
        .await;
    }
}

async fn watch(database: PgPool, open: Arc<AtomicI64>, over: Arc<AtomicBool>) {
    while !over.load(Relaxed) {
        if let Ok(count) = sqlx::query_scalar(OPEN).fetch_one(&database).await {
            open.store(count, Relaxed);
        }
        tokio::time::sleep(5 * PAUSE).await;
    }
}

fn body(record: &Value) -> Value {
    json!({"lines": record["basket"]["lines"], "payment_method": "pm_card_visa"})
}

async fn stock(shop: &ShopClient, records: &[Value], baskets: &[Value]) {
    let lines = baskets.iter().flat_map(|basket| basket["lines"].as_array().into_iter().flatten());
    let wanted: BTreeSet<&str> = lines.filter_map(|line| line["sku"].as_str()).collect();
    let mut products: Vec<Value> = records.iter().map(|record| record["product"].clone()).collect();
    products.retain(|product| product["sku"].as_str().is_some_and(|sku| wanted.contains(sku)));
    let token = shop.staff_token().await;
    for (n, chunk) in products.chunks_mut(CHUNK).enumerate() {
        let lines: Vec<Value> =
            chunk.iter().map(|p| json!({"sku": p["sku"], "quantity": 1_000_000})).collect();
        for product in chunk.iter_mut().filter_map(Value::as_object_mut) {
            product.remove("stock");
            product.insert("currency".to_owned(), json!("USD"));
        }
        let (key, chunk) = (format!("bench-{n}"), &*chunk);
        for (path, body) in [
            ("/v1/products", json!({ "products": chunk })),
            ("/v1/stock/receipts", json!({ "lines": lines })),
        ] {
            let (status, answer) = shop.post(path, &token, &key, &body).await;
            assert!(status < 300, "{path}: {status} {answer}");
        }
    }
}
