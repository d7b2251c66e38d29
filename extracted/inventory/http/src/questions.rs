//! Questions that are no batch of commands.

use banyan_kernel::{Context, OrderId, Sku};
use inventory_api::{AdjustStock, ReceiveStock, StockMovement, Told};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// About these products.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct AboutSkus {
    pub(crate) skus: Vec<Sku>,
}

/// About these products, when at least this was told.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct AtLeast {
    pub(crate) skus: Vec<Sku>,
    pub(crate) at_least: Vec<Told>,
}

/// What came in, and who says so.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Receipts {
    pub(crate) context: Context,
    pub(crate) receipts: Vec<ReceiveStock>,
}

/// What was found, and who says so.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Finding {
    pub(crate) context: Context,
    pub(crate) wish: AdjustStock,
}

/// A page of a product's movements.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Movements {
    pub(crate) sku: Sku,
    pub(crate) before: Option<[i64; 3]>,
    pub(crate) limit: u16,
}

/// A movement, and where it stands among all: the public is shown the former alone.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Placed {
    pub(crate) at: [i64; 3],
    pub(crate) movement: StockMovement,
}

/// About everything.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Nothing {}

/// Orders with `after < order <= upto`.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Facts {
    pub(crate) after: OrderId,
    pub(crate) upto: OrderId,
}

impl From<StockMovement> for Placed {
    fn from(movement: StockMovement) -> Self {
        Self { at: movement.place, movement }
    }
}

impl From<Placed> for StockMovement {
    fn from(Placed { at, movement }: Placed) -> Self {
        Self { place: at, ..movement }
    }
}
