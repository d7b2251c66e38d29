//! Customers: products on the shelf, baskets, and waiting until every order has ended.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{sync::Semaphore, task::JoinSet};

use super::{
    client::{Answer, ShopClient},
    wait::{until, within},
};

/// Orders of one question, the admin API's limit.
const CHUNK: usize = 1_000;
/// Between two tries of a request without an answer.
const AGAIN: Duration = Duration::from_millis(50);
/// Tries of one request; a shop that is started again meanwhile is back by then.
const TRIES: u32 = 400;

/// What one customer asks for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// The customer's name.
    pub customer: String,
    /// The `Idempotency-Key`.
    pub key: String,
    /// What.
    pub body: Value,
}

impl Wish {
    /// One piece each of these products.
    #[must_use]
    pub fn of(customer: &str, key: &str, skus: &[&str]) -> Self {
        let lines: Vec<Value> = skus.iter().map(|sku| json!({"sku": sku, "quantity": 1})).collect();
        let body = json!({"lines": lines, "payment_method": "pm_card_visa"});
        Self { customer: customer.to_owned(), key: key.to_owned(), body }
    }

    /// With another card, by the gateway's name for it.
    #[must_use]
    pub fn paid_with(mut self, method: &str) -> Self {
        self.body["payment_method"] = json!(method);
        self
    }
}

impl ShopClient {
    /// Puts products on the shelf, so many pieces of each.
    ///
    /// # Panics
    /// When the shop refuses.
    pub async fn stock(&self, skus: &[&str], quantity: u32) {
        self.stock_at("main", skus, quantity).await;
    }

    /// As [`Self::stock`], at a place.
    ///
    /// # Panics
    /// When the shop refuses.
    pub async fn stock_at(&self, place: &str, skus: &[&str], quantity: u32) {
        let token = self.staff_token().await;
        let product = |sku: &&str| json!({"sku": sku, "name": sku, "category": "LAB", "price_minor": 250, "currency": "EUR"});
        let products: Vec<Value> = skus.iter().map(product).collect();
        let lines: Vec<Value> = skus.iter().map(|sku| json!({"sku": sku, "quantity": quantity})).collect();
        let key = format!("stock-{}-{quantity}", skus.join("-"));
        for (path, body) in [
            ("/v1/products", json!({ "products": products })),
            ("/v1/stock/receipts", json!({ "lines": lines, "place": place })),
        ] {
            let (status, answer) = self.post(path, &token, &key, &body).await;
            assert!(status < 300, "{path}: {status} {answer}");
        }
    }

    /// Places an order once.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn try_place(&self, wish: &Wish) -> Result<Answer, reqwest::Error> {
        let token = self.customer_token(&wish.customer).await;
        let url = format!("{}/v1/orders", self.api);
        self.ask(Method::POST, &url, &token, Some(&wish.key), Some(&wish.body)).await
    }

    /// Places an order as a patient customer does: with the same key again, until there is an answer that
    /// stays. Its id.
    ///
    /// # Panics
    /// When the order is refused, or the shop stays away.
    pub async fn place(&self, wish: &Wish) -> String {
        for _ in 0..TRIES {
            match self.try_place(wish).await {
                Ok(answer) if answer.status == 201 => {
                    return answer.json["id"].as_str().expect("an id").to_owned();
                }
                Ok(answer) if !matches!(answer.status, 409 | 429 | 500..) => {
                    panic!("{wish:?} is refused: {} {}", answer.status, answer.json)
                }
                _ => tokio::time::sleep(AGAIN).await,
            }
        }
        panic!("{wish:?} was never answered");
    }

    /// Places all of them, at most so many at once. Their orders, in the same order.
    ///
    /// # Panics
    /// As [`Self::place`].
    pub async fn place_all(&self, wishes: Vec<Wish>, at_once: usize) -> Vec<String> {
        let permits = Arc::new(Semaphore::new(at_once));
        let mut tasks = JoinSet::new();
        for (at, wish) in wishes.into_iter().enumerate() {
            let (shop, permits) = (self.clone(), permits.clone());
            tasks.spawn(async move {
                let _permit = permits.acquire_owned().await;
                (at, shop.place(&wish).await)
            });
        }
        let placed: BTreeMap<usize, String> = tasks.join_all().await.into_iter().collect();
        placed.into_values().collect()
    }

    /// How these orders stand: the admin API's own words, by id.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn standing(&self, orders: &[String]) -> Result<BTreeMap<String, Value>, String> {
        let (token, url) = (self.staff_token().await, format!("{}/admin/orders/settled", self.admin));
        let mut all = BTreeMap::new();
        for chunk in orders.chunks(CHUNK) {
            let body = json!({ "orders": chunk });
            let answer = self.ask(Method::POST, &url, &token, None, Some(&body)).await;
            let answer = answer.map_err(|error| error.to_string())?;
            let found = answer.json["orders"].as_array().ok_or_else(|| answer.json.to_string())?;
            let by_id = |order: &Value| (order["id"].as_str().unwrap_or_default().to_owned(), order.clone());
            all.extend(found.iter().map(by_id));
        }
        Ok(all)
    }

    /// Waits until all these orders have ended, shipped or cancelled, and says how each did.
    ///
    /// # Errors
    /// With those that have not by the deadline.
    pub async fn settled(
        &self,
        orders: &[String],
        deadline: Duration,
    ) -> Result<BTreeMap<String, Value>, String> {
        let mut open: BTreeSet<String> = BTreeSet::new();
        let found = within(deadline, "all orders to end", async || {
            let standing = self.standing(orders).await.ok()?;
            let ended = |id: &&String| standing.get(*id).is_some_and(|o| is_ended(&o["state"]));
            open = orders.iter().filter(|id| !ended(id)).cloned().collect();
            open.is_empty().then_some(standing)
        });
        let found = found.await.map(|(standing, _)| standing);
        found.map_err(|why| format!("{why}; {} have not, among them {:?}", open.len(), open.iter().next()))
    }

    /// Waits until no order is open and everybody has heard of every end, and demands that all is true then.
    ///
    /// # Panics
    /// When something is still untrue, or open, at the deadline.
    pub async fn clean_audit(&self, deadline: Duration) -> Value {
        let mut last = Value::Null;
        let clean = within(deadline, "a clean audit without open orders", async || {
            last = self.operate(Method::POST, "/admin/audit", None).await.1;
            (last["open"] == 0 && violations(&last).is_empty()).then_some(())
        });
        match clean.await {
            Ok(((), took)) => println!("a clean audit after {took:?}"),
            Err(why) => panic!("{why}: {}{}", shortened(&last), self.parked().await),
        }
        last
    }

    /// The dead letters of every group, a line each.
    async fn parked(&self) -> String {
        let groups = self.operate(Method::GET, "/admin/groups", None).await.1;
        let mut lines = String::new();
        for (name, _) in groups.as_object().into_iter().flatten() {
            let letters = self.operate(Method::GET, &format!("/admin/dead-letters/{name}"), None).await.1;
            for letter in letters["letters"].as_array().into_iter().flatten() {
                let _ = write!(lines, "\n{name}: {letter}");
            }
        }
        lines
    }

    /// Waits until the shop takes requests again.
    pub async fn ready(&self, deadline: Duration) {
        let url = format!("{}/health/ready", self.api);
        until(deadline, "the shop to be ready", async || {
            let answer = self.ask(Method::GET, &url, "", None, None).await.ok()?;
            (answer.status == 200).then_some(())
        })
        .await;
    }
}

fn is_ended(state: &Value) -> bool {
    matches!(state.as_str(), Some("shipped" | "cancelled"))
}

/// An audit, with the first two of what each check named.
fn shortened(audit: &Value) -> String {
    let mut audit = audit.clone();
    for check in audit["checks"].as_array_mut().into_iter().flatten() {
        if let Some(named) = check["named"].as_array_mut() {
            named.truncate(2);
        }
    }
    format!("{audit:#}")
}

/// The names of an audit's checks that found something, with what they found, a line each.
#[must_use]
pub fn violations(audit: &Value) -> BTreeMap<String, String> {
    let checks = audit["checks"].as_array().unwrap_or_else(|| panic!("no audit: {audit}"));
    let untrue = checks.iter().filter(|check| check["violations"] != 0);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let named = |check: &Value| {
        let named = check["named"].as_array().into_iter().flatten().map(text);
        named.collect::<Vec<_>>().join("\n")
    };
    untrue.map(|check| (text(&check["name"]), named(check))).collect()
}

/// A part of the committed sample, as a replay file of its own.
pub struct Sample {
    /// Where it is.
    pub file: PathBuf,
    /// How many baskets are in it.
    pub baskets: usize,
}

impl Sample {
    /// The first `baskets` baskets that come after `skip` others, and the products in them.
    ///
    /// # Panics
    /// When the sample is not what it was.
    #[must_use]
    pub fn part(folder: &Path, skip: usize, baskets: usize) -> Self {
        let text = include_str!("../../../app/sample/sample.jsonl");
        let records: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
        let taken: Vec<&Value> =
            records.iter().filter(|r| r.get("basket").is_some()).skip(skip).take(baskets).collect();
        let lines =
            taken.iter().flat_map(|basket| basket["basket"]["lines"].as_array().into_iter().flatten());
        let wanted: BTreeSet<&str> = lines.filter_map(|line| line["sku"].as_str()).collect();
        let is_wanted =
            |record: &&Value| record["product"]["sku"].as_str().is_some_and(|sku| wanted.contains(sku));
        let header = json!({"banyan-replay": 1, "id": "lab", "currency": "USD", "baskets": taken.len()});
        let products = records.iter().filter(is_wanted);
        let all: Vec<String> = std::iter::once(&header)
            .chain(products)
            .chain(taken.iter().copied())
            .map(Value::to_string)
            .collect();
        let file = folder.join("part.jsonl");
        std::fs::write(&file, all.join("\n") + "\n").expect("a file in the stage's folder");
        Self { file, baskets: taken.len() }
    }
}
