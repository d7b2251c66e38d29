//! A shipment: as kept in the book, and as shown to callers.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::answer::Answer;
use crate::config::Config;
use crate::digest::Digest;

/// What the carrier fetches for one reference: one parcel, or several at once.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Shipment {
    /// `shp_...`.
    pub id: String,
    /// The caller's reference; one may have many shipments.
    pub reference: String,
    /// Whom it goes to, as the caller named them.
    pub customer: Option<String>,
    /// The number on the first parcel.
    pub tracking: String,
    /// Those on the further ones.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub further: Vec<String>,
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
    /// How many parcels it is.
    pub(crate) fn parcels(&self) -> usize {
        1 + self.further.len()
    }

    /// The number on a parcel, counted from 0.
    pub(crate) fn tracking(&self, parcel: usize) -> &str {
        parcel.checked_sub(1).and_then(|further| self.further.get(further)).unwrap_or(&self.tracking)
    }

    /// Where a parcel ended by now, unless it is cancelled: a function of when it was booked and of what it is called, so that
    /// nothing needs to be written down.
    pub(crate) fn fate(&self, parcel: usize, config: &Config, now: i64) -> Option<Fate> {
        let at = self.created.checked_add(i64::try_from(config.deliver_after_s?).ok()?)?;
        let name = if parcel == 0 { &self.id } else { self.tracking(parcel) };
        let drawn = Digest::of(&[b"returned", &config.seed.to_be_bytes(), name.as_bytes()]);
        let is_returned = drawn.millionth() < config.returned.per_million();
        (at <= now).then_some(Fate { status: if is_returned { "returned" } else { "delivered" }, at })
    }

    /// As it stands now.
    pub(crate) fn shown_at(&self, config: &Config, now: i64) -> Value {
        let mut shown = self.shown();
        if self.cancelled {
            return shown;
        }
        for parcel in 0..self.parcels() {
            let Some(fate) = self.fate(parcel, config, now) else { continue };
            shown["parcels"][parcel]["status"] = fate.status.into();
            if parcel == 0 {
                shown["status"] = fate.status.into();
            }
        }
        shown
    }

    /// As it was booked or cancelled.
    pub(crate) fn shown(&self) -> Value {
        let status = if self.cancelled { "cancelled" } else { "booked" };
        let parcel = |n| json!({ "tracking": self.tracking(n), "status": status });
        json!({
            "id": self.id,
            "reference": self.reference,
            "customer": self.customer,
            "tracking": self.tracking,
            "status": status,
            "parcels": (0..self.parcels()).map(parcel).collect::<Vec<_>>(),
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
