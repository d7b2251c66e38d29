//! `GET /sandbox/faults`: what really went wrong.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// Shows step × kind with a few orders each; `down` counts from this start on, the others for ever.
pub(crate) async fn show_faults(State(sandbox): State<Arc<Sandbox>>) -> Json<Value> {
    let steps = sandbox.ledger().world.counts.table();
    Json(json!({
        "seed": sandbox.config.seed,
        "profile": sandbox.config.profile.to_string(),
        "steps": steps,
    }))
}
