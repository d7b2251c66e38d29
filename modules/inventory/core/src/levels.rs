//! Levels: how much there is.

use banyan_kernel::{Place, Sku};
use banyan_store::{Store, StoreError};
use inventory_api::StockLevel;
use sqlx::FromRow;

const LEVELS: &str = "select sku, on_hand, reserved, shipped, received, adjusted, place from stock \
     where sku = any($1) order by sku";

/// A row of stock.
#[derive(FromRow)]
pub(crate) struct LevelRow {
    #[sqlx(try_from = "String")]
    sku: Sku,
    on_hand: i64,
    reserved: i64,
    shipped: i64,
    received: i64,
    adjusted: i64,
    #[sqlx(try_from = "String")]
    place: Place,
}

impl From<LevelRow> for StockLevel {
    fn from(row: LevelRow) -> Self {
        let LevelRow { sku, on_hand, reserved, shipped, received, adjusted, place } = row;
        Self { sku, on_hand, reserved, shipped, received, adjusted, place }
    }
}

/// The levels of these SKUs, in SKU order; one never received is left out.
pub(crate) async fn read(store: &Store, skus: &[Sku]) -> Result<Vec<StockLevel>, StoreError> {
    let names: Vec<&str> = skus.iter().map(Sku::as_str).collect();
    let rows: Vec<LevelRow> = sqlx::query_as(LEVELS).bind(names).fetch_all(store.pool()).await?;
    Ok(rows.into_iter().map(StockLevel::from).collect())
}
