//! Implementation of catalog: what is sold, under which name, at which price.

mod page;
mod product;
mod products;
mod put;

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{Context, Sku};
use banyan_store::{Schema, Store, StoreError};
use catalog_api::{Product, PutProduct, Unavailable};
use sqlx::migrate::Migrator;

/// The tables of the module.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../../../migrations/catalog");

/// The module's schema.
#[must_use]
pub fn schema() -> Schema {
    Schema { name: catalog_api::NAME, migrations: &MIGRATIONS, insert_only: &[] }
}

/// The catalogue on PostgreSQL.
pub struct Catalog {
    store: Store,
}

impl Catalog {
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
}

#[async_trait]
impl catalog_api::Catalog for Catalog {
    async fn products(&self, skus: Vec<Sku>) -> Result<Vec<Product>, Unavailable> {
        products::read(&self.store, &skus).await.map_err(unavailable)
    }

    async fn page(&self, after: Option<Sku>, limit: u16) -> Result<Vec<Product>, Unavailable> {
        page::read(&self.store, after.as_ref(), limit).await.map_err(unavailable)
    }

    async fn put(&self, context: Context, products: Vec<PutProduct>) -> Result<Vec<Product>, Unavailable> {
        put::run(&self.store, &context, products).await.map_err(unavailable)
    }
}

fn unavailable(error: StoreError) -> Unavailable {
    Unavailable(error.to_string())
}
