//! Page: the catalogue in SKU order, piece by piece.

use banyan_kernel::Sku;
use banyan_store::{Store, StoreError};
use catalog_api::Product;

use crate::product::Row;

/// No SKU is empty, so all come after the empty text.
const PAGE: &str = "select sku, name, category, price_minor, currency, version from product \
     where sku > $1 order by sku limit $2";

pub(crate) async fn read(store: &Store, after: Option<&Sku>, limit: u16) -> Result<Vec<Product>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(PAGE)
        .bind(after.map_or("", Sku::as_str))
        .bind(i64::from(limit))
        .fetch_all(store.pool())
        .await?;
    Ok(rows.into_iter().map(Product::from).collect())
}
