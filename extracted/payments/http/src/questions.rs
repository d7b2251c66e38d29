//! Questions that are no batch of commands.

use banyan_kernel::{Json, OrderId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// About one order.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct OfOrder {
    pub(crate) order: OrderId,
}

/// About the orders after one, up to and with another.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Facts {
    pub(crate) after: OrderId,
    pub(crate) upto: OrderId,
}

/// A question that says all by its name.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Nothing {}

/// As the gateway sent it.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Event {
    #[schema(value_type = Object)]
    pub(crate) event: Json,
}
