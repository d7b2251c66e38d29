//! `/v1/wishlist`

use axum::{
    Json,
    extract::{Path, State},
    http::StatusCode,
};
use banyan_kernel::Sku;
use banyan_net::{Principal, Problem};

use super::{Api, done};

/// Keeps a product in mind. Doing it again changes nothing.
#[utoipa::path(
    put, path = "/v1/wishlist/{sku}", tag = "wishlist", security(("bearer" = [])),
    params(("sku" = String, Path, description = "Its SKU.")),
    responses(
        (status = 204, description = "Kept."),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not a customer.", body = Problem),
        (status = 404, description = "No such SKU.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn keep(
    State(api): State<Api>,
    principal: Principal,
    Path(sku): Path<String>,
) -> Result<StatusCode, Problem> {
    let customer = principal.customer()?;
    let unknown = |_| Problem::new(StatusCode::NOT_FOUND, "unknown_product", "there is no such product");
    let sku: Sku = sku.parse().map_err(unknown)?;
    done(api.wishlist.keep(customer, sku).await, |_| StatusCode::NOT_FOUND)?;
    Ok(StatusCode::NO_CONTENT)
}

/// Shows what a customer keeps in mind.
#[utoipa::path(
    get, path = "/v1/wishlist", tag = "wishlist", security(("bearer" = [])),
    responses(
        (status = 200, description = "The SKUs.", body = Vec<Sku>),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 403, description = "Not a customer.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn kept(State(api): State<Api>, principal: Principal) -> Result<Json<Vec<Sku>>, Problem> {
    let customer = principal.customer()?;
    done(api.wishlist.kept(customer).await, |_| StatusCode::NOT_FOUND).map(Json)
}
