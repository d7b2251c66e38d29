//! Categories: of what is sold.

use banyan_store::{Store, StoreError};
use catalog_api::Category;

const CATEGORIES: &str = "select category, count(*) from product where not retired \
     group by category order by category collate \"C\" limit 1000";

pub(crate) async fn read(store: &Store) -> Result<Vec<Category>, StoreError> {
    let rows: Vec<(String, i64)> = sqlx::query_as(CATEGORIES).fetch_all(store.pool()).await?;
    Ok(rows.into_iter().map(|(name, products)| Category { name, products }).collect())
}
