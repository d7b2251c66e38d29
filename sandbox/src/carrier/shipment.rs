//! A shipment: as kept in the book, and as shown to callers.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::Answer;

/// A parcel that the carrier knows of.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Shipment {
    /// `shp_...`.
    pub id: String,
    /// The caller's reference; one may have many shipments.
    pub reference: String,
    /// Whom it goes to, as the caller named them.
    pub customer: Option<String>,
    /// The number on the parcel.
    pub tracking: String,
    /// Whether it is still to be fetched.
    pub cancelled: bool,
    /// Seconds since 1970.
    pub created: i64,
}

impl Shipment {
    pub(crate) fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "reference": self.reference,
            "customer": self.customer,
            "tracking": self.tracking,
            "status": if self.cancelled { "cancelled" } else { "booked" },
            "created": self.created,
        })
    }
}

/// 422: the carrier does not go there.
pub(crate) fn undeliverable(reference: &str) -> Answer {
    let message = format!("The parcel {reference} cannot be delivered to this address.");
    Answer::problem(StatusCode::UNPROCESSABLE_ENTITY, "undeliverable", message)
}

/// 404: there is no such shipment.
pub(crate) fn no_such_shipment(id: &str) -> Answer {
    Answer::problem(StatusCode::NOT_FOUND, "no_such_shipment", format!("There is no shipment {id}."))
}
