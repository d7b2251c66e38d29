//! `GET /v1/payment_intents/{id}`: one intent.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::intent::no_such_intent;
use crate::answer::Answer;
use crate::look_up::{LookUp, look_up};
use crate::sandbox::Sandbox;
use crate::step::Party;

/// Shows one intent.
pub(crate) async fn retrieve(
    State(sandbox): State<Arc<Sandbox>>,
    Path(id): Path<String>,
    call: LookUp,
) -> Response {
    look_up(&sandbox, Party::Gateway, call, |world| match world.intent(&id) {
        Some(intent) => Answer::new(StatusCode::OK, intent.shown()),
        None => no_such_intent(&id, "intent"),
    })
    .await
}
