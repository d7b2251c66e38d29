//! `GET /v1/orders/{id}/shipments`: where an order's parcels are.

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use banyan_kernel::OrderId;
use banyan_net::{Principal, Problem};
use serde::Serialize;
use shipping_api::ParcelView;
use utoipa::ToSchema;

use super::{Api, done, read_orders::visible};

/// An order's parcels.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Shipments {
    /// Those that the carrier has taken.
    shipments: Vec<ParcelView>,
}

/// Shows where an order's parcels are, and by when they were promised. Another's order is unknown.
#[utoipa::path(
    get, path = "/v1/orders/{id}/shipments", tag = "shipping", security(("bearer" = [])),
    params(("id" = OrderId, Path, description = "The order.")),
    responses(
        (status = 200, description = "The parcels; none before the carrier has taken one.", body = Shipments),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 404, description = "No such order, or somebody else's.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn list_shipments(
    State(api): State<Api>,
    principal: Principal,
    Path(id): Path<String>,
) -> Result<Json<Shipments>, Problem> {
    let order = visible(&api, &principal, &id).await?;
    let shipments = done(api.parcels.parcels(order.id).await, |_| StatusCode::UNPROCESSABLE_ENTITY)?;
    Ok(Json(Shipments { shipments }))
}
