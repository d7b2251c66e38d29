//! `POST /carrier/v1/shipments`: have parcels fetched, all of one call or none.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value};

use super::Shipment;
use super::json::JsonCall;
use crate::answer::{Answer, Trouble};
use crate::book::Effect;
use crate::deliver::deliver;
use crate::ledger::{Ask, Stamp};
use crate::sandbox::Sandbox;
use crate::step::{Party, Step};
use crate::world::World;

const LONGEST_TEXT: usize = 200;
const MOST_LINES: usize = 1_000;

struct BookShipment {
    reference: String,
    customer: Option<String>,
    parcels: usize,
}

/// Books a shipment.
pub(crate) async fn book(State(sandbox): State<Arc<Sandbox>>, call: JsonCall) -> Response {
    match BookShipment::parse(&call.object) {
        Ok(ask) => deliver(sandbox, call.posted, ask).await,
        Err(reason) => Trouble::BadBody(reason).told_by(Party::Carrier).into_response(),
    }
}

impl BookShipment {
    fn parse(object: &Map<String, Value>) -> Result<Self, String> {
        let known = ["reference", "customer", "lines", "parcels", "metadata"];
        if let Some(name) = object.keys().find(|name| !known.contains(&name.as_str())) {
            return Err(format!("unknown field {name}"));
        }
        let reference = text(object, "reference")?.ok_or("reference is missing")?;
        let customer = text(object, "customer")?;
        let goods = object.get("lines").or(object.get("parcels")).and_then(Value::as_array);
        match goods.map(Vec::len) {
            // What is not said to be packed in several is packed in one.
            Some(count @ 1..=MOST_LINES) => {
                let parcels = if object.contains_key("lines") { 1 } else { count };
                Ok(Self { reference, customer, parcels })
            }
            _ => Err("lines (or parcels) is a list of 1 to 1000".to_owned()),
        }
    }
}

fn text(object: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    match object.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if (1..=LONGEST_TEXT).contains(&text.len()) => Ok(Some(text.clone())),
        Some(_) => Err(format!("{name} is a text of 1 to {LONGEST_TEXT} bytes")),
    }
}

impl Ask for BookShipment {
    fn step(&self) -> Step {
        Step::Book
    }

    fn decide(&self, _: &World, stamp: &Stamp) -> Result<Effect, Answer> {
        if stamp.refuse {
            return Ok(Effect::ShipmentRefused { reference: self.reference.clone() });
        }
        let tracking = stamp.id("BNY").to_uppercase();
        let shipment = Shipment {
            id: stamp.id("shp"),
            reference: self.reference.clone(),
            customer: self.customer.clone(),
            further: (2..=self.parcels).map(|n| format!("{tracking}-{n}")).collect(),
            tracking,
            cancelled: false,
            created: stamp.at.unix_timestamp(),
        };
        Ok(Effect::ShipmentBooked { shipment })
    }
}
