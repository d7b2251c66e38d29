//! For whoever looks after a service: does it live, is it ready and whom does it lack, what did it count. On loopback, without secrets.

use std::sync::Arc;

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};

use crate::{
    Metrics,
    operations::{Readiness, Ready},
    ports,
};

#[derive(Clone)]
struct Watched {
    metrics: Arc<Metrics>,
    readiness: Arc<Readiness>,
}

pub(super) fn router(metrics: Metrics, readiness: Arc<Readiness>) -> Router {
    Router::new()
        .route("/health/live", get(|| async { StatusCode::OK }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(Watched { metrics: Arc::new(metrics), readiness })
}

/// Ready with each dependency by its name: who asks sees which one is missing.
async fn ready(State(watched): State<Watched>) -> (StatusCode, Json<Ready>) {
    let ready = watched.readiness.all().await;
    (ports::status(&ready), Json(ready))
}

async fn metrics_text(State(watched): State<Watched>) -> (StatusCode, String) {
    match watched.metrics.text() {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
