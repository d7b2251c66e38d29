//! Contract of catalog: what is sold, under which name, at which price.

use std::collections::BTreeMap;

use async_trait::async_trait;
use banyan_kernel::{Answer, Context, Money, Sku};
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
    /// For people, at most 2,000 characters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// Links to pictures, at most [`IMAGES_MAX`], the best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub images: Vec<String>,
    /// What one costs. All products are in one currency: that of the first.
    pub price: Money,
    /// No longer sold: it is in no list, and no new order takes it.
    #[serde(default)]
    pub retired: bool,
    /// Counts its changes from 1.
    pub version: i64,
}

/// A product as staff want it. One that was retired is sold again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PutProduct {
    /// Its stock-keeping unit.
    pub sku: Sku,
    /// For people, 1 to 200 characters.
    pub name: String,
    /// One word to group by, at most 100 characters.
    pub category: String,
    /// For people, at most 2,000 characters.
    pub description: String,
    /// Links to pictures, the best first.
    pub images: Vec<String>,
    /// What one costs, more than zero.
    pub price: Money,
}

/// Most pictures of a product.
pub const IMAGES_MAX: usize = 10;

/// What a change found, for whom it must be the same as what they saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Expected {
    /// It must not be there yet.
    Absent,
    /// It must stand at this version.
    Version(i64),
}

/// Told when a product is created, changed or retired. Public. Subject: the SKU; sequence: the version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProductUpdated {
    /// The whole product, its version included.
    pub product: Product,
}

impl ProductUpdated {
    /// Its name on the bus.
    pub const KIND: &'static str = "ProductUpdated";
}

/// The refusal codes of this port.
pub mod refusals {
    /// There is no such product.
    pub const UNKNOWN_PRODUCT: &str = "unknown_product";
    /// It does not stand as the asker saw it.
    pub const STALE_VERSION: &str = "stale_version";
    /// The key came before with other products.
    pub const KEY_REUSED: &str = "key_reused";
    /// Its price is in another currency than the catalogue's.
    pub const CURRENCY: &str = "currency";
}

/// The catalogue could not be asked just now; the text says why. Ask again later.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable(pub String);

/// Most products put, or asked for, in one call.
pub const BATCH_MAX: usize = 10_000;

/// Which products to list; those that are retired are in no list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ListProducts {
    /// Words that must be found in name, category or description, as a person types them: `"whole phrase"`, `-not`,
    /// `or`. Without, products come in SKU order; with, the best first.
    pub search: Option<String>,
    /// Of this category alone.
    pub category: Option<String>,
    /// Only those after this one.
    pub after: Option<After>,
    /// At most so many, up to 200.
    pub limit: u16,
}

/// The last product of a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct After {
    /// How well it was found; 0 without a search.
    pub rank: f32,
    /// Which it is.
    pub sku: Sku,
}

/// A product in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Found {
    /// How well it was found; 0 without a search.
    pub rank: f32,
    /// What it is.
    pub product: Product,
}

/// A category, with how many products of it are sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Category {
    /// Its name.
    pub name: String,
    /// How many.
    pub products: i64,
}

/// Products as somebody wants them, under the name of the wish.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PutProducts {
    /// Of the asker's; the same again gets the first answer, and changes nothing.
    pub key: String,
    /// At most [`BATCH_MAX`]; of one named twice the last wish holds.
    pub products: Vec<PutProduct>,
    /// The versions that the asker has seen: one that stands otherwise than it is wished is changed only if it stands at the version that is
    /// named here, and nothing of the batch is done if one does not. Without, whatever stands is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, i64>>)]
    pub seen: Option<BTreeMap<Sku, i64>>,
}

/// Reply to [`Catalog::put`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ProductsPut {
    /// As they stood when the wish was done, in the order asked.
    pub products: Vec<Product>,
    /// Whether that was another time.
    pub repeated: bool,
}

/// What catalog can do for others.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// The products of these SKUs, retired ones too; a SKU that was never sold is not in the answer. In constant
    /// statements.
    async fn products(&self, skus: Vec<Sku>) -> Result<Vec<Product>, Unavailable>;
    /// As [`Self::products`], and never older than what was committed before it was asked: for who has just changed them elsewhere.
    async fn products_now(&self, skus: Vec<Sku>) -> Result<Vec<Product>, Unavailable> {
        self.products(skus).await
    }
    /// A page of what is sold.
    async fn list(&self, which: ListProducts) -> Result<Vec<Found>, Unavailable>;
    /// All categories of what is sold, by name, at most 1,000.
    async fn categories(&self) -> Result<Vec<Category>, Unavailable>;
    /// Creates or changes products in one commit; one that already stands so is left alone, and tells
    /// nothing. Answers with all of them as they then stood. Refusals, of the whole batch: `currency`, `key_reused`, and
    /// `stale_version` where the asker says what was seen.
    async fn put(&self, context: Context, wish: PutProducts) -> Answer<ProductsPut>;
    /// Creates or changes one product, if it stands as the asker saw it.
    /// Refusals: `stale_version`, `currency`.
    async fn change(&self, context: Context, product: PutProduct, expected: Expected) -> Answer<Product>;
    /// Takes a product out of sale; orders that have it keep it, at the price they were promised. Once more changes
    /// nothing. Refusal: `unknown_product`.
    async fn retire(&self, context: Context, sku: Sku) -> Answer<Product>;
}
