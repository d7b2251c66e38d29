//! What the shop looks at by itself, once every few seconds, and hands to the metrics, beyond what every process does
//! (`banyan_host::operations::observe`): open orders, mails that wait, caches, and who holds the horizon. Nothing is asked of the
//! database when metrics are fetched.

mod horizon;
mod mails;
mod orders;

use std::time::Duration;

use banyan_store::{Store, StoreError};
use opentelemetry::{KeyValue, global, metrics::Gauge};
use tokio_util::sync::CancellationToken;

use crate::compose::Shop;

pub use horizon::Holder;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(5);

/// Whom it looks at.
pub struct Observer {
    shop: Shop,
    edge: Store,
    holder: Option<i32>,
}

impl Observer {
    /// Over a wired shop; `edge` may read the server's statistics.
    #[must_use]
    pub fn new(shop: Shop, edge: Store) -> Self {
        Self { shop, edge, holder: None }
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
        self.caches();
        self.holder = horizon::look(&self.edge, self.holder).await?;
        orders::look(&*self.shop.orders.facts).await;
        mails::look(&*self.shop.notifications.facts).await;
        Ok(())
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
