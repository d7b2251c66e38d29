//! `GET /health/live`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::sandbox::Sandbox;

/// Answers as long as requests are answered; a book that cannot be written ends the process.
pub(crate) async fn live(State(sandbox): State<Arc<Sandbox>>) -> Json<Value> {
    Json(json!({ "status": "live", "book_end": sandbox.book.durable() }))
}
