//! `GET /v1/disputes?payment_intent=pi_...`: what a customer disputes of an intent.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::form::bad;
use crate::answer::Answer;
use crate::look_up::{LookUp, look_up};
use crate::sandbox::Sandbox;
use crate::step::Party;

/// Lists an intent's disputes: one, where its card is of those that dispute.
pub(crate) async fn list_disputes(State(sandbox): State<Arc<Sandbox>>, call: LookUp) -> Response {
    let Some(id) = call.params.get("payment_intent").cloned() else {
        return bad("payment_intent", "Disputes are listed by payment_intent.").into_response();
    };
    look_up(&sandbox, Party::Gateway, call, |world| {
        let data: Vec<Value> = world.intent(&id).and_then(|intent| intent.dispute()).into_iter().collect();
        Answer::new(StatusCode::OK, json!({ "object": "list", "data": data, "has_more": false }))
    })
    .await
}
