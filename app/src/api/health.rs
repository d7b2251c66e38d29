//! For load balancers and supervisors.

use axum::{extract::State, http::StatusCode};
use banyan_net::Problem;

use super::{Api, done};

/// The process answers.
#[utoipa::path(
    get, path = "/health/live", tag = "health", security(()),
    responses((status = 200, description = "Alive."))
)]
pub(crate) async fn live() -> StatusCode {
    StatusCode::OK
}

/// The process can sell: its databases answer.
#[utoipa::path(
    get, path = "/health/ready", tag = "health", security(()),
    responses(
        (status = 200, description = "Ready."),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "A database does not answer.", body = Problem),
    )
)]
pub(crate) async fn ready(State(api): State<Api>) -> Result<StatusCode, Problem> {
    let (orders, levels, products) = tokio::join!(
        api.orders.view(Vec::new(), None),
        api.inventory.levels(Vec::new()),
        api.catalog.products(Vec::new()),
    );
    done(orders, |_| StatusCode::SERVICE_UNAVAILABLE)?;
    done(levels, |_| StatusCode::SERVICE_UNAVAILABLE)?;
    products.map_err(|_| Problem::unavailable("the catalogue cannot be read just now"))?;
    Ok(StatusCode::OK)
}
