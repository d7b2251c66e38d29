//! `POST /carrier/v1/shipments/{id}/cancel`: have none of its parcels fetched.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;

use super::Shipment;
use super::json::JsonCall;
use super::shipment::no_such_shipment;
use crate::answer::Answer;
use crate::book::Effect;
use crate::deliver::deliver;
use crate::ledger::{Ask, Stamp};
use crate::sandbox::Sandbox;
use crate::step::Step;
use crate::world::World;

struct CancelShipment {
    id: String,
}

/// Cancels a shipment; one that is cancelled already stays so, without another line in the book.
pub(crate) async fn cancel(
    State(sandbox): State<Arc<Sandbox>>,
    Path(id): Path<String>,
    call: JsonCall,
) -> Response {
    deliver(sandbox, call.posted, CancelShipment { id }).await
}

impl Ask for CancelShipment {
    fn step(&self) -> Step {
        Step::Cancel
    }

    fn decide(&self, world: &World, _: &Stamp) -> Result<Effect, Answer> {
        let shipment = world.shipment(&self.id).ok_or_else(|| no_such_shipment(&self.id))?;
        if shipment.cancelled {
            return Err(Answer::new(StatusCode::OK, shipment.shown()));
        }
        Ok(Effect::ShipmentCancelled { shipment: Shipment { cancelled: true, ..shipment.clone() } })
    }
}
