//! The module's desk: its rows, its carrier, and what becomes of a shipment once the carrier has answered.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{Context, Json, OrderId, Refusal, Timestamp};
use banyan_net::outbound::{Caller, Changes, Desk, Outcome, Record};
use banyan_store::{Store, StoreError, Tell, Write};
use serde_json::json;
use shipping_api::{ShipmentBooked, ShipmentCancelled};
use sqlx::PgConnection;

use crate::{
    carrier::{Booked, Carrier},
    shipment::{self, Shipment, State},
};

/// What is further away than the largest back-off was written by a clock that jumped: due now.
const DUE: &str = "select order_id from shipment where slot = any($1) and next_try_at is not null \
     and (next_try_at <= $2 or next_try_at > $3) order by next_try_at limit $4";

#[derive(Clone)]
pub(crate) struct Depot {
    pub(crate) store: Store,
    pub(crate) carrier: Arc<Carrier>,
}

/// A shipment that has just come to its state, with who caused it.
pub(crate) struct Told {
    shipment: Shipment,
    causation: String,
    context: Context,
}

#[async_trait]
impl Desk for Depot {
    type Row = Shipment;
    type Came = Booked;
    type Told = Told;
    const GROUP: &'static str = "shipping.intents";
    const DUE: &'static str = DUE;

    fn store(&self) -> &Store {
        &self.store
    }

    fn caller(&self) -> &Caller {
        self.carrier.caller()
    }

    async fn call(&self, shipment: &Shipment) -> Outcome<Booked> {
        self.carrier.ask(shipment).await
    }

    fn settle(shipment: &mut Shipment, how: Result<Booked, Refusal>, context: &Context) -> Option<Told> {
        let causation = shipment.command().map(|id| id.to_string()).unwrap_or_default();
        match how {
            Ok(booked) => {
                if shipment.state == State::Cancelling {
                    shipment.state = State::Cancelled;
                } else {
                    shipment.state = State::Booked;
                    shipment.asked_again = shipment.intent.tries > 1;
                    shipment.take(booked);
                }
                shipment.version += 1;
                Some(Told { shipment: shipment.clone(), causation, context: context.clone() })
            }
            Err(refusal) => {
                shipment.state = State::Refused;
                shipment.refusal = Some(refusal);
                None
            }
        }
    }

    async fn read(connection: &mut PgConnection, orders: &[OrderId]) -> Result<Vec<Shipment>, sqlx::Error> {
        shipment::read(connection, orders).await
    }

    async fn put(write: &mut Write, changes: Changes<'_, Self>, at: Timestamp) -> Result<(), StoreError> {
        shipment::put(write.connection(), shipment::INSERT, &changes.new).await?;
        shipment::put(write.connection(), shipment::UPDATE, &changes.old).await?;
        let events: Vec<Tell> = changes.told.iter().map(|told| told.event(at)).collect();
        write.tell(&events).await
    }
}

fn booked(shipment: &Shipment) -> Json {
    let mut tracking = shipment.tracking().into_iter();
    let (order, first) = (shipment.order, tracking.next().unwrap_or_default());
    let event = ShipmentBooked { order, tracking: first, further: tracking.collect() };
    // A struct of texts always has a JSON form.
    serde_json::to_value(event).unwrap_or_default()
}

impl Told {
    fn event(&self, at: Timestamp) -> Tell {
        let shipment = &self.shipment;
        let (kind, data) = match (&shipment.booking, shipment.state) {
            (Some(_), State::Booked) => (ShipmentBooked::KIND, booked(shipment)),
            _ => (ShipmentCancelled::KIND, json!({ "order": shipment.order, "reason": shipment.reason })),
        };
        Tell {
            kind,
            subject: shipment.order.to_string(),
            sequence: shipment.version,
            schema_version: 1,
            data,
            at,
            causation: self.causation.clone(),
            context: self.context.clone(),
        }
    }
}
