//! Products: those of some SKUs.

use banyan_kernel::Sku;
use banyan_store::{Store, StoreError};
use catalog_api::Product;

use crate::product::Row;

const PRODUCTS: &str = "select sku, name, category, description, images, price_minor, currency, retired, version \
     from product where sku = any($1) order by sku";

pub(crate) async fn read(store: &Store, skus: &[Sku]) -> Result<Vec<Product>, StoreError> {
    let names: Vec<&str> = skus.iter().map(Sku::as_str).collect();
    let rows: Vec<Row> = sqlx::query_as(PRODUCTS).bind(names).fetch_all(store.pool()).await?;
    Ok(rows.into_iter().map(Product::from).collect())
}
