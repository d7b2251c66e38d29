//! `GET /carrier/v1/shipments/{id}`: one shipment.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::shipment::no_such_shipment;
use crate::answer::Answer;
use crate::look_up::{LookUp, look_up};
use crate::sandbox::Sandbox;
use crate::step::Party;

/// Shows one shipment.
pub(crate) async fn retrieve(
    State(sandbox): State<Arc<Sandbox>>,
    Path(id): Path<String>,
    call: LookUp,
) -> Response {
    let now = sandbox.now().wall.unix_timestamp();
    look_up(&sandbox, Party::Carrier, call, |world| match world.shipment(&id) {
        Some(shipment) => Answer::new(StatusCode::OK, shipment.shown_at(&sandbox.config, now)),
        None => no_such_shipment(&id),
    })
    .await
}
