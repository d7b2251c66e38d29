//! `GET /carrier/v1/shipments?reference=...`: look-up by reference.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::Shipment;
use crate::answer::Answer;
use crate::look_up::{LookUp, look_up};
use crate::sandbox::Sandbox;
use crate::step::Party;

const MOST: usize = 100;

/// Lists the shipments of a reference, newest first.
pub(crate) async fn find(State(sandbox): State<Arc<Sandbox>>, call: LookUp) -> Response {
    let Some(reference) = call.params.get("reference").cloned() else {
        let message = "Shipments are looked up by reference.";
        return Answer::problem(StatusCode::BAD_REQUEST, "reference_missing", message).into_response();
    };
    let now = sandbox.now().wall.unix_timestamp();
    look_up(&sandbox, Party::Carrier, call, |world| {
        let shown = |shipment: &Shipment| shipment.shown_at(&sandbox.config, now);
        let data: Vec<Value> = world.shipments_of_reference(&reference).take(MOST).map(shown).collect();
        Answer::new(StatusCode::OK, json!({ "data": data }))
    })
    .await
}
