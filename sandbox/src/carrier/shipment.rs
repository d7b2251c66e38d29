//! A shipment: as kept in the book, and as shown to callers.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::config::Config;
use crate::digest::Digest;

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

pub(super) const DAY_S: i64 = 86_400;
/// What the carrier promises of a parcel whose service was not said.
pub(super) const STANDARD_DAYS: i64 = 3;

/// Where a parcel ended.
pub(crate) struct Fate {
    pub(crate) status: &'static str,
    /// Seconds since 1970.
    pub(crate) at: i64,
}

impl Shipment {
    /// Where it ended by now, unless it is cancelled: a function of when it was booked and of its id, so that nothing needs to
    /// be written down.
    pub(crate) fn fate(&self, config: &Config, now: i64) -> Option<Fate> {
        let at = self.created.checked_add(i64::try_from(config.deliver_after_s?).ok()?)?;
        let drawn = Digest::of(&[b"returned", &config.seed.to_be_bytes(), self.id.as_bytes()]);
        let is_returned = drawn.millionth() < config.returned.per_million();
        (at <= now).then_some(Fate { status: if is_returned { "returned" } else { "delivered" }, at })
    }

    /// As it stands now.
    pub(crate) fn shown_at(&self, config: &Config, now: i64) -> Value {
        let mut shown = self.shown();
        if let Some(fate) = self.fate(config, now).filter(|_| !self.cancelled) {
            shown["status"] = fate.status.into();
        }
        shown
    }

    /// As it was booked or cancelled.
    pub(crate) fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "reference": self.reference,
            "customer": self.customer,
            "tracking": self.tracking,
            "status": if self.cancelled { "cancelled" } else { "booked" },
            "created": self.created,
            "promised": self.created + STANDARD_DAYS * DAY_S,
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
