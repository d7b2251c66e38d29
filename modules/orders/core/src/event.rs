//! What is recorded of an order. The names and fields below are stored; they change only by a new schema
//! version with an upcaster.

use banyan_kernel::{Actor, CustomerId, Json, Money, OrderId, Places};
use orders_api::{OrderCancelled, OrderCreated, OrderShipped, PricedLine, Resolution};
use serde::{Deserialize, Serialize, de::value::MapDeserializer};

use crate::saga::Step;

/// Of every event in this file.
pub const SCHEMA_VERSION: u16 = 1;

/// The first event: all that was promised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Created {
    /// Whose.
    pub customer: CustomerId,
    /// What, at which price.
    pub lines: Vec<PricedLine>,
    /// What it costs.
    pub total: Money,
    /// The gateway's name for the card.
    pub payment_method: String,
    /// Tells a repeat from another wish under the same key.
    pub request_hash: String,
    /// Under which version of the saga it finishes.
    pub saga: u16,
}

/// Something that happened to an order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum OrderEvent {
    /// It was accepted. Public.
    OrderCreated(Created),
    /// A module did a step.
    StepDone {
        /// Which.
        step: Step,
        /// Which attempt of it.
        attempt: u32,
        /// How often this order had to ask before it heard.
        #[serde(default, skip_serializing_if = "is_zero")]
        asked: u32,
        /// Whether the outside did it though its first answer was lost, late or broken.
        #[serde(default, skip_serializing_if = "is_false")]
        asked_again: bool,
        /// What it led to: a tracking number, the gateway's reference.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        result: Option<String>,
        /// Where the products stand that were reserved; before there were places, all stood at `main`.
        #[serde(default, skip_serializing_if = "Places::is_empty")]
        places: Places,
        /// The tracking numbers of the parcels behind the first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        further: Vec<String>,
    },
    /// A module refused a step: the order turns back.
    StepRefused {
        /// Which.
        step: Step,
        /// Which attempt of it.
        attempt: u32,
        /// Why, as a code.
        code: String,
        /// Why, as a sentence.
        detail: String,
    },
    /// Somebody wants it undone.
    CancelRequested {
        /// Why.
        reason: String,
    },
    /// A module undid a step, or made sure that it is never done.
    StepUndone {
        /// Which.
        step: Step,
        /// Which attempt of it.
        attempt: u32,
    },
    /// Nobody can tell what a step did: a person must look.
    StepBroken {
        /// Which.
        step: Step,
        /// Which attempt of it.
        attempt: u32,
        /// Whether it was being undone.
        undo: bool,
        /// What the module said.
        why: String,
    },
    /// A person looked.
    OrderResolved {
        /// And decided.
        how: Resolution,
        /// Why.
        reason: String,
    },
    /// It was handed over. Public.
    OrderShipped {
        /// The tracking numbers of its parcels; none in what was recorded before they were told.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tracking: Vec<String>,
    },
    /// All of it was undone. Public.
    OrderCancelled {
        /// Why, as a code.
        cause: String,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}

/// Why a stored event cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("a {kind} of schema version {version} cannot be read: {why}")]
pub struct UnreadableEvent {
    kind: String,
    version: u16,
    why: String,
}

impl OrderEvent {
    /// Its type and payload as stored; the payload says who did it, so that the hash covers it.
    #[must_use]
    pub fn stored(&self, actor: &Actor) -> (String, Json) {
        // A tagged enum of plain data always becomes an object with these two members.
        let mut tagged = serde_json::to_value(self).unwrap_or_default();
        let kind = tagged["type"].as_str().unwrap_or_default().to_owned();
        let mut payload = tagged["data"].take();
        payload["actor"] = actor.to_string().into();
        (kind, payload)
    }

    /// From its type and payload, as they were stored at `version`.
    ///
    /// # Errors
    /// When the type or version is not known here, or the payload does not fit.
    pub fn restore(kind: &str, version: u16, payload: Json) -> Result<Self, UnreadableEvent> {
        let error = |why: String| UnreadableEvent { kind: kind.to_owned(), version, why };
        if version != SCHEMA_VERSION {
            return Err(error("the version is not known".to_owned()));
        }
        // The type before the data: the other way round the data is copied until the type is known.
        let tagged = [("type", Json::from(kind)), ("data", payload)];
        let tagged = MapDeserializer::<_, serde_json::Error>::new(tagged.into_iter());
        Self::deserialize(tagged).map_err(|why| error(why.to_string()))
    }

    /// As the contract's event, if it is public: its name and data.
    #[must_use]
    pub fn public(&self, order: OrderId) -> Option<(&'static str, Json)> {
        let event = match self {
            Self::OrderCreated(created) => {
                let Created { customer, lines, total, .. } = created.clone();
                (OrderCreated::KIND, serde_json::to_value(OrderCreated { order, customer, lines, total }))
            }
            Self::OrderShipped { tracking } => {
                (OrderShipped::KIND, serde_json::to_value(OrderShipped { order, tracking: tracking.clone() }))
            }
            Self::OrderCancelled { cause } => {
                (OrderCancelled::KIND, serde_json::to_value(OrderCancelled { order, cause: cause.clone() }))
            }
            _ => return None,
        };
        Some((event.0, event.1.unwrap_or_default()))
    }

    /// Whether it leaves the module.
    #[must_use]
    pub fn is_public(&self) -> bool {
        matches!(self, Self::OrderCreated(_) | Self::OrderShipped { .. } | Self::OrderCancelled { .. })
    }
}

#[cfg(test)]
mod tests;
