//! Implementation of wishlist: wishes come by the port and go when orders tell that they were bought.

mod bought;

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{Answer, CustomerId, Sku};
use banyan_store::{Locks, Schema, Store, StoreError};

pub use bought::OrdersConsumer;

/// The tables of the module.
pub static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("../../../migrations/wishlist");

const KEEP: &str = "insert into wish (customer_id, sku) values ($1, $2) on conflict do nothing";
const KEPT: &str = "select sku from wish where customer_id = $1 order by sku limit 1000";

/// The module's schema.
#[must_use]
pub fn schema() -> Schema {
    Schema { name: wishlist_api::NAME, migrations: &MIGRATIONS, insert_only: &[], reads_statistics: false }
}

/// Wishlist on PostgreSQL.
pub struct Wishlist {
    store: Store,
}

impl Wishlist {
    /// Over the module's store.
    #[must_use]
    pub fn new(store: Store) -> Arc<Self> {
        Arc::new(Self { store })
    }

    /// The module's store.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    async fn keep(&self, customer: CustomerId, sku: &Sku) -> Result<(), StoreError> {
        let mut write = self.store.begin(&Locks::none()).await?;
        sqlx::query(KEEP).bind(customer.0).bind(sku.as_str()).execute(write.connection()).await?;
        write.commit().await
    }
}

#[async_trait]
impl wishlist_api::Wishlist for Wishlist {
    async fn keep(&self, customer: CustomerId, sku: Sku) -> Answer<()> {
        answer(self.keep(customer, &sku).await)
    }

    async fn kept(&self, customer: CustomerId) -> Answer<Vec<Sku>> {
        let kept: Result<Vec<String>, sqlx::Error> =
            sqlx::query_scalar(KEPT).bind(customer.0).fetch_all(self.store.pool()).await;
        answer(kept.map(|skus| skus.into_iter().filter_map(|sku| sku.parse().ok()).collect()).map_err(StoreError::from))
    }
}

fn answer<T>(result: Result<T, StoreError>) -> Answer<T> {
    match result {
        Ok(reply) => Answer::Done(reply),
        Err(StoreError::Statement(error)) => Answer::Broken(error.to_string()),
        Err(error) => Answer::Unavailable(error.to_string()),
    }
}
