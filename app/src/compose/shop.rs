//! What is asked of the modules as a whole.

use std::{collections::BTreeMap, sync::Arc};

use axum::Router;
use banyan_bus::{Hearing, Source, cache::CacheCounts};
use banyan_kernel::Answer;
use banyan_net::port::Door;
use banyan_store::StoreError;
use catalog_http::CachedCatalog;

use super::Shop;

/// A module's contract by HTTP, behind a door.
pub type Port = Box<dyn FnOnce(Door) -> Router + Send>;

impl Shop {
    /// What is in memory here of what modules tell.
    #[must_use]
    pub fn hearing(&self) -> Vec<Hearing> {
        vec![CachedCatalog::hearing(self.product_cache.clone())]
    }

    /// After a restore: what was done outside since the copy was made is looked up, as far as it is of what the copy knows.
    ///
    /// # Errors
    /// As any statement.
    pub async fn look_outside(&self) -> Result<(), StoreError> {
        let payments = match self.payments.events.look_at_all().await {
            Answer::Done(payments) => payments,
            other => return Err(StoreError::Unavailable(format!("{other:?}"))),
        };
        tracing::warn!(payments, "a restored database: what was given back is looked up at the gateway");
        Ok(())
    }

    /// After a restore: what is in the topics was told, in part, by what is no more.
    ///
    /// # Errors
    /// When the carrier cannot do it now.
    pub async fn recover_topics(&self) -> Result<(), String> {
        match &self.topics {
            Some(topics) => topics.recover_all().await,
            None => Ok(()),
        }
    }

    /// Every cache, by what it keeps.
    #[must_use]
    pub fn caches(&self) -> BTreeMap<&'static str, CacheCounts> {
        BTreeMap::from([("products", self.product_cache.counts())])
    }

    /// What a module tells, if it is here.
    #[must_use]
    pub fn source(&self, module: &str) -> Option<Arc<dyn Source>> {
        self.sources.iter().find(|source| source.name() == module).cloned()
    }

    /// What the modules that are here can be asked by other processes: each with what it tells.
    #[must_use]
    pub fn ports(&self) -> Vec<(Arc<dyn Source>, Port)> {
        let (inventory, payments) = (self.inventory.clone(), self.payments.clone());
        let (shipping, orders) = (self.shipping.clone(), self.orders.clone());
        let (catalog, notifications) = (self.catalog.clone(), self.notifications.clone());
        let all: [(&str, Port); 6] = [
            (catalog_api::NAME, Box::new(|door| catalog_http::port().router(catalog, door))),
            (inventory_api::NAME, Box::new(|door| inventory_http::port().router(inventory, door))),
            (payments_api::NAME, Box::new(|door| payments_http::port().router(payments, door))),
            (shipping_api::NAME, Box::new(|door| shipping_http::port().router(shipping, door))),
            (orders_api::NAME, Box::new(|door| orders_http::port().router(orders, door))),
            (
                notifications_api::NAME,
                Box::new(|door| notifications_http::port().router(notifications, door)),
            ),
        ];
        all.into_iter().filter_map(|(module, port)| Some((self.source(module)?, port))).collect()
    }
}
