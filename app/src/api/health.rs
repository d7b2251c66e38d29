//! For load balancers and supervisors.

use axum::{Json, extract::State, http::StatusCode};
use banyan_host::operations::Ready;
use banyan_net::Problem;

use super::Api;

/// The process answers.
#[utoipa::path(
    get, path = "/health/live", tag = "health", security(()),
    responses((status = 200, description = "Alive."))
)]
pub(crate) async fn live() -> StatusCode {
    StatusCode::OK
}

/// The process can be sent requests: its databases answer within 2 s.
///
/// Each module that is a process of its own is named, and whether it can work; while one cannot, others are served. Whether a
/// database has room to write is another question, which a write answers (503): those who look around are still served.
#[utoipa::path(
    get, path = "/health/ready", tag = "health", security(()),
    responses(
        (status = 200, description = "Ready; and whom it does without just now.", body = Ready),
        (status = 503, description = "A database does not answer, or nobody does.", body = Problem),
    )
)]
pub(crate) async fn ready(State(api): State<Api>) -> Result<Json<Ready>, Problem> {
    let ready = api.readiness.all().await;
    if ready.ready {
        return Ok(Json(ready.plain()));
    }
    let lacks = ready.dependencies.iter().filter(|(_, dependency)| !dependency.ready);
    let lacks: Vec<&str> = lacks.map(|(name, _)| name.as_str()).collect();
    Err(Problem::unavailable(format!("without {} it can do nothing", lacks.join(", "))))
}
