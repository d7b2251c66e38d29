//! What a process looks at by itself, once every few seconds, and hands to the metrics: lag, parked keys, slots, pools,
//! open orders, mails that wait, caches, and who holds the horizon. Nothing is asked of the database when metrics are fetched.

mod bus;
mod horizon;
mod mails;
mod orders;
mod pools;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use banyan_bus::Counters;
use banyan_store::{Store, StoreError};
use opentelemetry::{KeyValue, global, metrics::Gauge};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::compose::Shop;

pub use horizon::Holder;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// Whom it looks at.
pub struct Observer {
    shop: Shop,
    stores: Vec<Store>,
    edge: Store,
    counters: BTreeMap<&'static str, Arc<Counters>>,
    instance: Uuid,
    holder: Option<i32>,
}

impl Observer {
    /// Over a wired shop; `edge` may read the server's statistics.
    #[must_use]
    pub fn new(
        shop: Shop,
        (stores, edge): (Vec<Store>, Store),
        counters: BTreeMap<&'static str, Arc<Counters>>,
        instance: Uuid,
    ) -> Self {
        bus::count(counters.clone());
        Self { shop, stores, edge, counters, instance, holder: None }
    }

    /// Looks until `stop`.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            if let Err(error) = self.look().await {
                tracing::debug!(%error, "could not look at everything");
            }
            // Elapsed means: look again.
            let _ = tokio::time::timeout(EVERY, stop.cancelled()).await;
        }
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        pools::look(&self.stores);
        self.caches();
        self.holder = horizon::look(&self.edge, self.holder).await?;
        orders::look(&*self.shop.orders.facts).await;
        mails::look(&*self.shop.notifications.facts).await;
        for store in &self.stores {
            bus::look(store, self.instance).await?;
        }
        for consumer in self.shop.consumers() {
            self.lag(consumer.group(), consumer.source()).await?;
        }
        for &(group, source) in self.shop.relays() {
            self.lag(group, source).await?;
        }
        Ok(())
    }

    async fn lag(&self, group: &'static str, source: &str) -> Result<(), StoreError> {
        let source = self.shop.source(source);
        let (Some(source), Some(counters)) = (source, self.counters.get(group)) else { return Ok(()) };
        bus::lag(group, &*source, counters.standing(), self.edge.clock().now()).await
    }

    fn caches(&self) {
        for (name, counts) in self.shop.caches() {
            let cache = [KeyValue::new("cache", name)];
            gauge("banyan.cache.hits", "Found in memory, since the process began")
                .record(counts.hits, &cache);
            gauge("banyan.cache.misses", "Not found in memory, since the process began")
                .record(counts.misses, &cache);
            gauge("banyan.cache.refused", "Loaded and too old to be kept").record(counts.refused, &cache);
            gauge("banyan.cache.bytes", "What is in memory").record(counts.bytes, &cache);
        }
    }
}

/// An instrument of this name; asked for again it is the same.
fn gauge(name: &'static str, what: &'static str) -> Gauge<u64> {
    global::meter("banyan").u64_gauge(name).with_description(what).build()
}

/// As [`gauge`], in seconds.
fn seconds(name: &'static str, what: &'static str) -> Gauge<f64> {
    global::meter("banyan").f64_gauge(name).with_description(what).with_unit("s").build()
}

/// A count of the database's.
fn natural(count: i64) -> u64 {
    u64::try_from(count).unwrap_or(0)
}
