//! An event in Stripe's form, made of a line of the book.

use serde_json::{Value, json};

use crate::book::{Effect, Entry, Line};
use crate::digest::Digest;
use crate::gateway::{Intent, card};

/// What is told.
pub(super) struct Event {
    pub(super) id: String,
    pub(super) kind: &'static str,
    pub(super) body: String,
}

/// What the lines of each kind tell, by Stripe's name for it.
const TOLD: [(&str, &str); 6] = [
    ("authorised", "payment_intent.amount_capturable_updated"),
    ("captured", "payment_intent.succeeded"),
    ("captured", DISPUTED),
    ("cancelled", "payment_intent.canceled"),
    ("declined", "payment_intent.payment_failed"),
    ("refunded", "charge.refunded"),
];
const DISPUTED: &str = "charge.dispute.created";

impl Event {
    /// Of a line, those that are wanted. The same line is the same events.
    pub(super) fn of<'a>(line: &'a Line, wanted: &'a [String]) -> impl Iterator<Item = Self> + 'a {
        TOLD.iter().filter_map(move |(kind, told)| {
            // Most lines are of no interest, and need not be understood to know it.
            let is_of_kind = line.text.starts_with(format!("{{\"v\":1,\"kind\":\"{kind}\",").as_bytes());
            let is_wanted = is_of_kind && wanted.iter().any(|wanted| wanted == told);
            let is_disputed = *told != DISPUTED || holds(&line.text, card::DISPUTES.as_bytes());
            (is_wanted && is_disputed).then(|| Self::new(line, told)).flatten()
        })
    }

    fn new(line: &Line, kind: &'static str) -> Option<Self> {
        let entry: Entry = serde_json::from_slice(&line.text).ok()?;
        let object = object(&entry.effect, kind)?;
        let digest = Digest::of(&[b"event", kind.as_bytes(), &line.offset.to_be_bytes(), &line.text]);
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

fn holds(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn object(effect: &Effect, kind: &str) -> Option<Value> {
    match effect {
        Effect::Refunded { intent, .. } => Some(charge(intent)),
        other if kind == DISPUTED => other.intent()?.dispute(),
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
