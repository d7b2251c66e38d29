//! `GET /carrier/v1/events?after=N`: what became of parcels, in the order in which it did.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::look_up::{LookUp, look_up};
use crate::sandbox::Sandbox;
use crate::step::Party;
use crate::world::World;

const MOST: usize = 500;

/// Lists arrivals behind a position; the next page begins at `next`.
pub(crate) async fn events(State(sandbox): State<Arc<Sandbox>>, call: LookUp) -> Response {
    let Some(after) = call.params.get("after").and_then(|text| text.parse::<usize>().ok()) else {
        let message = "Want after=N: 0, or the next of a page before.";
        return Answer::problem(StatusCode::BAD_REQUEST, "after_invalid", message).into_response();
    };
    let now = sandbox.now().wall.unix_timestamp();
    look_up(&sandbox, Party::Carrier, call, |world| page(&sandbox, world, after, now)).await
}

/// Parcels arrive in the order in which they were booked, so that a position is a count of them.
fn page(sandbox: &Sandbox, world: &World, after: usize, now: i64) -> Answer {
    let Some(parcels) = world.parcels_from(after) else {
        let message = format!("Nothing stands at {after}: these are not the events you know.");
        return Answer::problem(StatusCode::BAD_REQUEST, "no_such_position", message);
    };
    let (mut data, mut next, mut more) = (Vec::<Value>::new(), after, false);
    for (shipment, parcel) in parcels {
        let Some(fate) = shipment.fate(parcel, &sandbox.config, now) else { break };
        if data.len() == MOST {
            more = true;
            break;
        }
        next += 1;
        if !shipment.cancelled {
            data.push(json!({
                "position": next,
                "shipment": shipment.id,
                "tracking": shipment.tracking(parcel),
                "reference": shipment.reference,
                "status": fate.status,
                "at": fate.at,
            }));
        }
    }
    Answer::new(StatusCode::OK, json!({ "data": data, "next": next, "has_more": more }))
}
