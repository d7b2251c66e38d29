//! `/sandbox/break`: faults turned up for a while.

use std::sync::Arc;

use axum::extract::rejection::JsonRejection;
use axum::extract::{Json, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::faults::{BreakRefused, BreakRequest};
use crate::sandbox::Sandbox;

/// Orders a break.
pub(crate) async fn turn_up(
    State(sandbox): State<Arc<Sandbox>>,
    request: Result<Json<BreakRequest>, JsonRejection>,
) -> Response {
    let request = match request {
        Ok(Json(request)) => request,
        Err(error) => {
            return Answer::problem(error.status(), "body_invalid", error.body_text()).into_response();
        }
    };
    match sandbox.breaks().order(request, sandbox.now().uptime) {
        Ok(view) => {
            tracing::warn!(id = view.id, target = ?view.target, fault = view.fault.name(), view.percent, view.seconds, "broken on demand");
            (StatusCode::CREATED, Json(view)).into_response()
        }
        Err(refused) => refuse(refused),
    }
}

/// Lists the breaks under way.
pub(crate) async fn list(State(sandbox): State<Arc<Sandbox>>) -> Json<Value> {
    Json(json!({ "breaks": sandbox.breaks().list(sandbox.now().uptime) }))
}

/// Ends all breaks.
pub(crate) async fn clear(State(sandbox): State<Arc<Sandbox>>) -> Json<Value> {
    Json(json!({ "cleared": sandbox.breaks().clear() }))
}

fn refuse(refused: BreakRefused) -> Response {
    let status = match refused {
        BreakRefused::TooMany => StatusCode::CONFLICT,
        BreakRefused::Percent | BreakRefused::Seconds => StatusCode::BAD_REQUEST,
    };
    Answer::problem(status, "break_refused", refused.to_string()).into_response()
}
