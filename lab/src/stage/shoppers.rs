//! Customers who buy and look, until they are stopped; what failed is told.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use tokio::{
    sync::Mutex,
    task::JoinSet,
    time::{Interval, MissedTickBehavior, interval},
};

use super::{ShopClient, Wish, until};

/// How often a customer asks again who is told to.
const TURNS: usize = 20;
/// What everybody may look at; of the last, who has never said how they are reached is told that there is nothing.
const PATHS: [&str; 4] = ["/availability", "", "/v1/orders", "/v1/customers/me"];
const GOES_ON: Duration = Duration::from_secs(120);

/// Customers who each wait for their answers.
pub struct Shoppers {
    done: Arc<Done>,
    customers: JoinSet<Shopped>,
}

/// What was done so far.
struct Done {
    stop: AtomicBool,
    placed: AtomicUsize,
    /// When the next of them may buy, where there is a measure.
    pace: Option<Mutex<Interval>>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Shopped {
    /// Each order that was taken.
    pub orders: Vec<String>,
    /// Every request without the answer that it should have.
    pub failed: Vec<String>,
    /// Orders that were asked for again with the same key, as 503 says. On a busy machine a lock may not be had within its second.
    pub again: usize,
    /// Requests besides.
    pub looks: usize,
}

impl Shoppers {
    /// So many, from now on, who buy these. Together at most so many orders a second, if that is told.
    #[must_use]
    pub fn start(
        shop: &ShopClient,
        (name, count): (&'static str, usize),
        skus: &'static [&'static str],
        orders_per_s: Option<u32>,
    ) -> Self {
        let pace = orders_per_s.map(|per_s| {
            let mut pace = interval(Duration::from_secs(1) / per_s);
            pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
            Mutex::new(pace)
        });
        let (stop, placed) = (AtomicBool::new(false), AtomicUsize::new(0));
        let (done, mut customers) = (Arc::new(Done { stop, placed, pace }), JoinSet::new());
        for n in 0..count {
            customers.spawn(shopper(shop.clone(), format!("{name}-{n}"), skus, done.clone()));
        }
        Self { done, customers }
    }

    /// Until so many more orders were placed.
    ///
    /// # Panics
    /// When that takes two minutes.
    pub async fn goes_on(&self, orders: usize) {
        let (placed, before) = (&self.done.placed, self.done.placed.load(SeqCst));
        let enough = async || (placed.load(SeqCst) >= before + orders).then_some(());
        until(GOES_ON, "orders to be placed", enough).await;
    }

    /// No longer.
    pub async fn stop(self) -> Shopped {
        self.done.stop.store(true, SeqCst);
        let mut all = Shopped::default();
        for one in self.customers.join_all().await {
            all.orders.extend(one.orders);
            all.failed.extend(one.failed);
            (all.again, all.looks) = (all.again + one.again, all.looks + one.looks);
        }
        all
    }
}

async fn shopper(shop: ShopClient, who: String, skus: &'static [&'static str], done: Arc<Done>) -> Shopped {
    let (token, mut shopped) = (shop.customer_token(&who).await, Shopped::default());
    for n in 0_usize.. {
        if let Some(pace) = &done.pace {
            pace.lock().await.tick().await;
        }
        if done.stop.load(SeqCst) {
            break;
        }
        shopped.buy(&shop, &Wish::of(&who, &format!("wish-{n}"), &skus[..=n % skus.len()])).await;
        done.placed.fetch_add(1, SeqCst);
        shopped.look(&shop, &token, skus[n % skus.len()], n).await;
    }
    shopped
}

impl Shopped {
    async fn buy(&mut self, shop: &ShopClient, wish: &Wish) {
        for _ in 0..TURNS {
            match shop.try_place(wish).await {
                Ok(answer) if answer.status == 201 => {
                    return self.orders.push(answer.json["id"].as_str().unwrap_or_default().to_owned());
                }
                Ok(answer) if answer.status == 503 => self.again += 1,
                other => return self.failed.push(format!("order: {other:?}")),
            }
        }
        self.failed.push(format!("told {TURNS} times to ask again: {wish:?}"));
    }

    async fn look(&mut self, shop: &ShopClient, token: &str, sku: &str, n: usize) {
        let path = PATHS[n % PATHS.len()];
        let of_product = format!("/v1/products/{sku}{path}");
        let path = if path.starts_with("/v1") { path } else { &of_product };
        let (status, answer) = shop.get(path, token).await;
        if !matches!((status, path), (200, _) | (404, "/v1/customers/me")) {
            self.failed.push(format!("{path}: {status} {answer}"));
        }
        self.looks += 1;
    }
}
