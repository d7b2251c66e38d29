//! An entry as its line has it: flat, since serde's tagged and flattened forms take three times as
//! long to read, and a start reads the whole book.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::entry::{Effect, Entry};
use crate::carrier::Shipment;
use crate::faults::FaultKind;
use crate::gateway::{Decline, Intent, Refund};
use crate::step::Step;

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Authorised,
    Captured,
    Cancelled,
    Refunded,
    Declined,
    ShipmentBooked,
    ShipmentRefused,
    ShipmentCancelled,
}

/// One line of the book, field by field.
#[derive(Deserialize, Serialize)]
pub(crate) struct Record {
    v: u8,
    kind: Kind,
    #[serde(with = "time::serde::rfc3339")]
    at: OffsetDateTime,
    order: Option<String>,
    step: Step,
    attempt: u32,
    delivery: u32,
    id: Option<String>,
    amount_minor: i64,
    currency: Option<String>,
    key: Option<String>,
    fingerprint: String,
    fault: Option<FaultKind>,
    correlation: Option<String>,
    trace: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    intent: Option<Intent>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refund: Option<Refund>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    decline: Option<Decline>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    shipment: Option<Shipment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<String>,
}

impl From<Entry> for Record {
    fn from(entry: Entry) -> Self {
        let mut record = Self {
            v: entry.v,
            kind: Kind::ShipmentRefused,
            at: entry.at,
            order: entry.order,
            step: entry.step,
            attempt: entry.attempt,
            delivery: entry.delivery,
            id: entry.id,
            amount_minor: entry.amount_minor,
            currency: entry.currency,
            key: entry.key,
            fingerprint: entry.fingerprint,
            fault: entry.fault,
            correlation: entry.correlation,
            trace: entry.trace,
            intent: None,
            refund: None,
            decline: None,
            shipment: None,
            reference: None,
        };
        record.put(entry.effect);
        record
    }
}

impl Record {
    fn put(&mut self, effect: Effect) {
        self.kind = match effect {
            Effect::Authorised { intent } => self.put_intent(Kind::Authorised, intent),
            Effect::Captured { intent } => self.put_intent(Kind::Captured, intent),
            Effect::Cancelled { intent, .. } => self.put_intent(Kind::Cancelled, intent),
            Effect::Refunded { intent, refund } => {
                self.refund = Some(refund);
                self.put_intent(Kind::Refunded, intent)
            }
            Effect::Declined { intent, decline, .. } => {
                self.decline = Some(decline);
                self.put_intent(Kind::Declined, intent)
            }
            Effect::ShipmentBooked { shipment } => self.put_shipment(Kind::ShipmentBooked, shipment),
            Effect::ShipmentCancelled { shipment } => self.put_shipment(Kind::ShipmentCancelled, shipment),
            Effect::ShipmentRefused { reference } => {
                self.reference = Some(reference);
                Kind::ShipmentRefused
            }
        }
    }

    fn put_intent(&mut self, kind: Kind, intent: Intent) -> Kind {
        self.intent = Some(intent);
        kind
    }

    fn put_shipment(&mut self, kind: Kind, shipment: Shipment) -> Kind {
        self.shipment = Some(shipment);
        kind
    }

    /// What the fields say together; none if one is missing that its kind needs.
    fn effect(&mut self) -> Option<Effect> {
        let amount = self.amount_minor;
        Some(match self.kind {
            Kind::Authorised => Effect::Authorised { intent: self.intent.take()? },
            Kind::Captured => Effect::Captured { intent: self.intent.take()? },
            Kind::Cancelled => Effect::Cancelled { intent: self.intent.take()?, released: amount },
            Kind::Refunded => Effect::Refunded { intent: self.intent.take()?, refund: self.refund.take()? },
            Kind::Declined => {
                Effect::Declined { intent: self.intent.take()?, asked: amount, decline: self.decline.take()? }
            }
            Kind::ShipmentBooked => Effect::ShipmentBooked { shipment: self.shipment.take()? },
            Kind::ShipmentCancelled => Effect::ShipmentCancelled { shipment: self.shipment.take()? },
            Kind::ShipmentRefused => Effect::ShipmentRefused { reference: self.reference.take()? },
        })
    }
}

impl TryFrom<Record> for Entry {
    type Error = &'static str;

    fn try_from(mut record: Record) -> Result<Self, &'static str> {
        let effect = record.effect().ok_or("a field is missing that its kind needs")?;
        Ok(Self {
            v: record.v,
            at: record.at,
            order: record.order,
            step: record.step,
            attempt: record.attempt,
            delivery: record.delivery,
            id: record.id,
            amount_minor: record.amount_minor,
            currency: record.currency,
            key: record.key,
            fingerprint: record.fingerprint,
            fault: record.fault,
            correlation: record.correlation,
            trace: record.trace,
            effect,
        })
    }
}
