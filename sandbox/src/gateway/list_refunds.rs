//! `GET /v1/refunds?payment_intent=pi_...`: what was given back of an intent.

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

const MOST: usize = 100;

/// Lists an intent's refunds, newest first.
pub(crate) async fn list_refunds(State(sandbox): State<Arc<Sandbox>>, call: LookUp) -> Response {
    let Some(id) = call.params.get("payment_intent").cloned() else {
        return bad("payment_intent", "Refunds are listed by payment_intent.").into_response();
    };
    look_up(&sandbox, Party::Gateway, call, |world| {
        let refunds = world.refunds_of_intent(&id);
        let data: Vec<Value> = refunds.iter().rev().take(MOST).map(|refund| refund.shown()).collect();
        let more = refunds.len() > MOST;
        Answer::new(StatusCode::OK, json!({ "object": "list", "data": data, "has_more": more }))
    })
    .await
}
