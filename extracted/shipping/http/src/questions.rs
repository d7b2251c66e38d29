//! Questions that are no batch of commands.

use banyan_kernel::OrderId;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// About one order.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct OfOrder {
    pub(crate) order: OrderId,
}
