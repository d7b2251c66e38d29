//! An event in Stripe's form, made of a line of the book.

use serde_json::{Value, json};

use crate::book::{Effect, Entry, Line};
use crate::digest::Digest;
use crate::gateway::Intent;

/// What is told.
pub(super) struct Event {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) body: String,
}

/// What the lines of each kind tell, by Stripe's name for it.
const TOLD: [(&str, &str); 5] = [
    ("authorised", "payment_intent.amount_capturable_updated"),
    ("captured", "payment_intent.succeeded"),
    ("cancelled", "payment_intent.canceled"),
    ("declined", "payment_intent.payment_failed"),
    ("refunded", "charge.refunded"),
];

impl Event {
    /// Of a line; none, where it is of no interest. The same line is the same event.
    pub(super) fn of(line: &Line, wanted: &[String]) -> Option<Self> {
        // Most lines are of no interest, and need not be understood to know it.
        let of_kind = |(kind, _): &&(&str, &str)| {
            line.text.starts_with(format!("{{\"v\":1,\"kind\":\"{kind}\",").as_bytes())
        };
        let (_, kind) =
            TOLD.iter().find(of_kind).filter(|(_, told)| wanted.iter().any(|wanted| wanted == told))?;
        let entry: Entry = serde_json::from_slice(&line.text).ok()?;
        let object = object(&entry.effect)?;
        let digest = Digest::of(&[b"event", &line.offset.to_be_bytes(), &line.text]);
        let id = format!("evt_{}", digest.short_hex());
        let body = json!({
            "id": id,
            "object": "event",
            "created": entry.at.unix_timestamp(),
            "data": { "object": object },
            "livemode": false,
            "type": kind,
        });
        Some(Self { id, kind, body: body.to_string() })
    }
}

fn object(effect: &Effect) -> Option<Value> {
    match effect {
        Effect::Refunded { intent, .. } => Some(charge(intent)),
        other => other.intent().map(Intent::shown),
    }
}

/// Stripe keeps what was given back on the charge, which has the intent's metadata.
fn charge(intent: &Intent) -> Value {
    json!({
        "id": intent.id.replacen("pi_", "ch_", 1),
        "object": "charge",
        "amount": intent.amount_received,
        "amount_refunded": intent.amount_refunded,
        "currency": intent.currency,
        "metadata": intent.metadata,
        "payment_intent": intent.id,
        "refunded": intent.amount_refunded == intent.amount_received,
    })
}
