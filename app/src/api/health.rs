//! For load balancers and supervisors.

use std::time::Duration;

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

/// How long the databases may take to say that they are there.
const READY_TIME_MAX: Duration = Duration::from_secs(2);

/// The process can be sent requests: its databases answer within 2 s.
///
/// Whether they have room to write is another question, which a write answers (503): those who look around are still served.
#[utoipa::path(
    get, path = "/health/ready", tag = "health", security(()),
    responses(
        (status = 200, description = "Ready."),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "A database does not answer.", body = Problem),
    )
)]
pub(crate) async fn ready(State(api): State<Api>) -> Result<StatusCode, Problem> {
    let all = async {
        tokio::join!(
            api.orders.view(Vec::new(), None),
            api.inventory.levels(Vec::new()),
            api.catalog.products(Vec::new()),
        )
    };
    let late = |_| Problem::unavailable("a database does not answer in time");
    let (orders, levels, products) = tokio::time::timeout(READY_TIME_MAX, all).await.map_err(late)?;
    done(orders, |_| StatusCode::SERVICE_UNAVAILABLE)?;
    done(levels, |_| StatusCode::SERVICE_UNAVAILABLE)?;
    products.map_err(|_| Problem::unavailable("the catalogue cannot be read just now"))?;
    Ok(StatusCode::OK)
}
