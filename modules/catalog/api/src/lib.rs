//! Contract of catalog: what is sold, under which name, at which price.

use async_trait::async_trait;
use banyan_kernel::{Context, Money, Sku};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[cfg(feature = "testing")]
pub mod testing;

/// The module's name: its schema, its role, its events' source.
pub const NAME: &str = "catalog";

/// A product as it stands.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Product {
    /// Its stock-keeping unit.
    pub sku: Sku,
    /// For people, 1 to 200 characters.
    pub name: String,
    /// One word to group by, at most 100 characters.
    pub category: String,
    /// What one costs.
    pub price: Money,
    /// Counts its changes from 1.
    pub version: i64,
}

/// A product as staff want it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PutProduct {
    /// Its stock-keeping unit.
    pub sku: Sku,
    /// For people, 1 to 200 characters.
    pub name: String,
    /// One word to group by, at most 100 characters.
    pub category: String,
    /// What one costs, more than zero.
    pub price: Money,
}

/// Told when a product is created or changed. Public.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProductUpdated {
    /// The whole product, its version included.
    pub product: Product,
}

impl ProductUpdated {
    /// Its name on the bus.
    pub const KIND: &'static str = "ProductUpdated";
}

/// The catalogue could not be asked just now; the text says why. Ask again later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(pub String);

/// Most products put, or asked for, in one call.
pub const BATCH_MAX: usize = 10_000;

/// What catalog can do for others.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// The products of these SKUs; a SKU that is not sold is not in the answer. In constant statements.
    async fn products(&self, skus: Vec<Sku>) -> Result<Vec<Product>, Unavailable>;
    /// At most `limit` products after this SKU, in SKU order.
    async fn page(&self, after: Option<Sku>, limit: u16) -> Result<Vec<Product>, Unavailable>;
    /// Creates or changes products in one commit; one that already stands so is left alone, and tells
    /// nothing. Answers with all of them as they now stand.
    async fn put(&self, context: Context, products: Vec<PutProduct>) -> Result<Vec<Product>, Unavailable>;
}
