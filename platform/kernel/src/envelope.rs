//! What travels on the bus: a CloudEvent (<https://cloudevents.io>, version 1.0) with the shop's extensions.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Timestamp, TraceParent};

/// One event, as a consumer sees it. Unknown fields are ignored, unknown types skipped and counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Envelope {
    /// Unique; derived from source, subject and sequence, see [`event_id`].
    pub id: Uuid,
    /// What happened, in the past tense: `OrderCreated`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The module that tells it.
    pub source: String,
    /// The aggregate it happened to; also the key that order is kept by.
    pub subject: String,
    /// When, by the teller's clock.
    #[serde(with = "time::serde::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub time: Timestamp,
    /// Of `data`, counted from 1.
    pub schema_version: u16,
    /// Counts the events told of this subject from 1, without a gap.
    pub sequence: i64,
    /// The command or event that caused it.
    pub causation: String,
    /// Who, as `role:id`.
    pub actor: String,
    /// W3C Trace Context; its trace id is the correlation id.
    pub traceparent: TraceParent,
    /// The contract's event type, as JSON.
    #[schema(value_type = Object)]
    pub data: Value,
}

/// What a consumer's row for the subject says of an event's sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sequenced {
    /// At or below what was seen: applied before.
    Duplicate,
    /// The next one.
    Next,
    /// Something before it has not come yet.
    Gap,
}

impl Sequenced {
    /// Judges `sequence` by the last one `seen` (0: none).
    #[must_use]
    pub fn judge(seen: i64, sequence: i64) -> Self {
        match sequence {
            s if s <= seen => Self::Duplicate,
            s if s == seen + 1 => Self::Next,
            _ => Self::Gap,
        }
    }
}

/// Name space of event ids (UUID version 5).
const EVENT_NAMESPACE: Uuid = Uuid::from_u128(0x2f1c_76a4_31d8_5c0e_a9a4_5d0f_7e6b_1c90);

/// The id of the `sequence`-th event told by `source` of `subject`: telling it again gives the same id.
#[must_use]
pub fn event_id(source: &str, subject: &str, sequence: i64) -> Uuid {
    Uuid::new_v5(&EVENT_NAMESPACE, format!("{source}/{subject}/{sequence}").as_bytes())
}
