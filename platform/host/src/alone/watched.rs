//! For whoever looks after a service: does it live, is it ready and whom does it lack, what did it count. On loopback, without secrets.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use banyan_store::Store;
use serde_json::{Value, json};

use crate::Metrics;

/// A dependency that takes longer does not answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// Whether it is being stopped: then no new requests should come.
#[derive(Clone, Default)]
pub(super) struct Draining(Arc<AtomicBool>);

impl Draining {
    pub(super) fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[derive(Clone)]
struct Watched {
    metrics: Arc<Metrics>,
    store: Store,
    draining: Draining,
}

pub(super) fn router(metrics: Metrics, store: Store, draining: Draining) -> Router {
    Router::new()
        .route("/health/live", get(|| async { StatusCode::OK }))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics_text))
        .with_state(Watched { metrics: Arc::new(metrics), store, draining })
}

/// Ready with each dependency by its name: who asks sees which one is missing. Only what this process cannot work without is one:
/// whom it calls is not, or one sick leaf would make everybody unready.
async fn ready(State(watched): State<Watched>) -> (StatusCode, Json<Value>) {
    let draining = watched.draining.0.load(Ordering::Relaxed);
    let identity = tokio::time::timeout(ANSWERS_WITHIN, banyan_store::identity(watched.store.pool())).await;
    let database = match identity {
        Ok(Ok(identity)) => json!({ "ready": true, "identity": identity }),
        Ok(Err(error)) => json!({ "ready": false, "why": error.to_string() }),
        Err(_) => json!({ "ready": false, "why": "no answer" }),
    };
    let is_ready = !draining && database["ready"] == true;
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (
        status,
        Json(json!({ "ready": is_ready, "draining": draining, "dependencies": { "database": database } })),
    )
}

async fn metrics_text(State(watched): State<Watched>) -> (StatusCode, String) {
    match watched.metrics.text() {
        Ok(text) => (StatusCode::OK, text),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}
