//! List: what is sold, piece by piece; in SKU order, or the best found first.

use banyan_store::{Store, StoreError};
use catalog_api::{Found, ListProducts, Product};
use sqlx::FromRow;

use crate::{product::Row, words::set_apart};

/// No SKU is empty, so all come after the empty text.
const IN_ORDER: &str = "select 0::float4 as rank, sku, name, category, description, images, price_minor, currency, \
     retired, version from product where not retired and ($1::text is null or category = $1) and sku > $2 \
     order by sku limit $3";
/// The rank is a number of the row and the query alone, so that a page goes on where the one before ended.
const BY_RANK: &str = "select * from (select ts_rank(document, q) as rank, sku, name, category, description, images, \
     price_minor, currency, retired, version from product, websearch_to_tsquery('simple', folded($1)) q \
     where not retired and document @@ q and ($2::text is null or category = $2)) found \
     where $3::float4 is null or rank < $3 or (rank = $3 and sku > $4) order by rank desc, sku limit $5";

#[derive(FromRow)]
struct Ranked {
    rank: f32,
    #[sqlx(flatten)]
    row: Row,
}

pub(crate) async fn read(store: &Store, which: &ListProducts) -> Result<Vec<Found>, StoreError> {
    let (category, limit) = (which.category.as_deref(), i64::from(which.limit));
    let sku = which.after.as_ref().map_or("", |after| after.sku.as_str());
    let rows: Vec<Ranked> = match &which.search {
        None => sqlx::query_as(IN_ORDER).bind(category).bind(sku).bind(limit).fetch_all(store.pool()).await?,
        Some(words) => {
            let rank = which.after.as_ref().map(|after| after.rank);
            let ranked = sqlx::query_as(BY_RANK)
                .bind(set_apart(words))
                .bind(category)
                .bind(rank)
                .bind(sku)
                .bind(limit);
            ranked.fetch_all(store.pool()).await?
        }
    };
    Ok(rows.into_iter().map(|found| Found { rank: found.rank, product: Product::from(found.row) }).collect())
}
