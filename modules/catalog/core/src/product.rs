//! A row of the catalogue.

use banyan_kernel::{Currency, Money, Sku};
use catalog_api::Product;
use sqlx::FromRow;

/// As it is read.
#[derive(FromRow)]
pub(crate) struct Row {
    #[sqlx(try_from = "String")]
    sku: Sku,
    name: String,
    category: String,
    description: String,
    images: Vec<String>,
    price_minor: i64,
    #[sqlx(try_from = "String")]
    currency: Currency,
    retired: bool,
    version: i64,
}

impl From<Row> for Product {
    fn from(row: Row) -> Self {
        Self {
            sku: row.sku,
            name: row.name,
            category: row.category,
            description: row.description,
            images: row.images,
            price: Money { minor: row.price_minor, currency: row.currency },
            retired: row.retired,
            version: row.version,
        }
    }
}
