//! Implementation of catalog: what is sold, under which name, at which price.
//!
//! One use case a file: `products` and `list` read; `put`, `change` and `retire` write, all by `write`.

mod categories;
mod change;
mod list;
mod product;
mod products;
mod put;
mod retire;
mod words;
mod write;

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{Answer, Context, Sku};
use banyan_store::{Schema, Store, StoreError};
use catalog_api::{
    Category, Expected, Found, ListProducts, Product, ProductsPut, PutProduct, PutProducts, Unavailable,
};
use sqlx::migrate::Migrator;

/// The tables of the module.
pub static MIGRATIONS: Migrator = sqlx::migrate!("../../../migrations/catalog");

/// The module's schema.
#[must_use]
pub fn schema() -> Schema {
    Schema {
        name: catalog_api::NAME,
        migrations: &MIGRATIONS,
        insert_only: &["put_request"],
        reads_statistics: false,
    }
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

    async fn list(&self, which: ListProducts) -> Result<Vec<Found>, Unavailable> {
        list::read(&self.store, &which).await.map_err(unavailable)
    }

    async fn categories(&self) -> Result<Vec<Category>, Unavailable> {
        categories::read(&self.store).await.map_err(unavailable)
    }

    async fn put(&self, context: Context, wish: PutProducts) -> Answer<ProductsPut> {
        put::run(&self.store, &context, wish).await.unwrap_or_else(Answer::from)
    }

    async fn change(&self, context: Context, product: PutProduct, expected: Expected) -> Answer<Product> {
        change::run(&self.store, &context, product, expected).await.unwrap_or_else(Answer::from)
    }

    async fn retire(&self, context: Context, sku: Sku) -> Answer<Product> {
        retire::run(&self.store, &context, sku).await.unwrap_or_else(Answer::from)
    }
}

fn unavailable(error: StoreError) -> Unavailable {
    Unavailable(error.to_string())
}
