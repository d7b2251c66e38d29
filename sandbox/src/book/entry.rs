//! One line of the book. It is the effect, the stored answer and the idempotency key at once.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::record::Record;
use crate::answer::Answer;
use crate::carrier::Shipment;
use crate::faults::FaultKind;
use crate::gateway::{Decline, Intent, Refund};
use crate::step::Step;

/// The version of the line's form.
pub(crate) const FORM: u8 = 1;

/// One line of the book.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "Record", into = "Record")]
pub struct Entry {
    /// The version of this form: 1.
    pub v: u8,
    /// When it was done.
    pub at: OffsetDateTime,
    /// The shop's order, as its caller named it.
    pub order: Option<String>,
    /// What was asked.
    pub step: Step,
    /// The saga's attempt.
    pub attempt: u32,
    /// Which sending of that attempt did it.
    pub delivery: u32,
    /// The intent, refund or shipment; none for a shipment that was refused.
    pub id: Option<String>,
    /// The money that moved or was asked for; 0 for shipments.
    pub amount_minor: i64,
    /// Lower case, as the gateway writes it; none for shipments.
    pub currency: Option<String>,
    /// The Idempotency-Key.
    pub key: Option<String>,
    /// What the key was sent with.
    pub fingerprint: String,
    /// What went wrong with the answer, if anything.
    pub fault: Option<FaultKind>,
    /// The caller's `Banyan-Correlation`.
    pub correlation: Option<String>,
    /// The trace id of the caller's `traceparent`.
    pub trace: Option<String>,
    /// What happened, with what it left behind.
    pub effect: Effect,
}

/// What happened; `kind` in the line.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Money was held.
    Authorised {
        /// The new intent.
        intent: Intent,
    },
    /// Held money was taken.
    Captured {
        /// The intent afterwards.
        intent: Intent,
    },
    /// An intent was cancelled; what it held is free.
    Cancelled {
        /// The intent afterwards.
        intent: Intent,
        /// What it held.
        released: i64,
    },
    /// Taken money was given back.
    Refunded {
        /// The intent afterwards.
        intent: Intent,
        /// The refund.
        refund: Refund,
    },
    /// A card refused an authorisation or a capture.
    Declined {
        /// The intent afterwards.
        intent: Intent,
        /// What was asked for.
        asked: i64,
        /// Why.
        decline: Decline,
    },
    /// A parcel will be fetched.
    ShipmentBooked {
        /// The new shipment.
        shipment: Shipment,
    },
    /// The carrier does not deliver there.
    ShipmentRefused {
        /// The caller's reference.
        reference: String,
    },
    /// A parcel will not be fetched.
    ShipmentCancelled {
        /// The shipment afterwards.
        shipment: Shipment,
    },
}

impl Effect {
    /// The name in `kind`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Authorised { .. } => "authorised",
            Self::Captured { .. } => "captured",
            Self::Cancelled { .. } => "cancelled",
            Self::Refunded { .. } => "refunded",
            Self::Declined { .. } => "declined",
            Self::ShipmentBooked { .. } => "shipment_booked",
            Self::ShipmentRefused { .. } => "shipment_refused",
            Self::ShipmentCancelled { .. } => "shipment_cancelled",
        }
    }

    pub(crate) fn refused(&self) -> bool {
        matches!(self, Self::Declined { .. } | Self::ShipmentRefused { .. })
    }

    pub(crate) fn id(&self) -> Option<&str> {
        match self {
            Self::Refunded { refund, .. } => Some(&refund.id),
            Self::Authorised { intent }
            | Self::Captured { intent }
            | Self::Cancelled { intent, .. }
            | Self::Declined { intent, .. } => Some(&intent.id),
            Self::ShipmentBooked { shipment } | Self::ShipmentCancelled { shipment } => Some(&shipment.id),
            Self::ShipmentRefused { .. } => None,
        }
    }

    pub(crate) fn amount_minor(&self) -> i64 {
        match self {
            Self::Authorised { intent } => intent.amount,
            Self::Captured { intent } => intent.amount_received,
            Self::Cancelled { released, .. } => *released,
            Self::Refunded { refund, .. } => refund.amount,
            Self::Declined { asked, .. } => *asked,
            _ => 0,
        }
    }

    pub(crate) fn intent(&self) -> Option<&Intent> {
        match self {
            Self::Authorised { intent }
            | Self::Captured { intent }
            | Self::Cancelled { intent, .. }
            | Self::Refunded { intent, .. }
            | Self::Declined { intent, .. } => Some(intent),
            _ => None,
        }
    }

    /// The answer is a function of the line, so that a repeat is answered from the book alone.
    pub(crate) fn answer(&self) -> Answer {
        match self {
            Self::Authorised { intent } | Self::Captured { intent } | Self::Cancelled { intent, .. } => {
                Answer::new(StatusCode::OK, intent.shown())
            }
            Self::Refunded { refund, .. } => Answer::new(StatusCode::OK, refund.shown()),
            Self::Declined { intent, decline, .. } => decline.answer(intent),
            Self::ShipmentBooked { shipment } => Answer::new(StatusCode::CREATED, shipment.shown()),
            Self::ShipmentCancelled { shipment } => Answer::new(StatusCode::OK, shipment.shown()),
            Self::ShipmentRefused { reference } => crate::carrier::undeliverable(reference),
        }
    }
}
