//! The words every module shares, with no I/O behind any of them.
//!
//! This is the only crate of `platform/` that knows words of the shop (`OrderId`, `CustomerId`, `Sku`,
//! `Money`): a contract may depend on it, and on little else.

mod answer;
mod clock;
mod command;
mod context;
mod envelope;
mod ids;
mod money;
mod slot;
mod text;

pub use answer::{Answer, Refusal};
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use command::{Command, CommandId, ParseCommandIdError};
pub use context::{Actor, Context, ParseTraceParentError, Role, TRACED, TraceParent};
pub use envelope::{Envelope, Sequenced, event_id};
pub use ids::{
    CustomerId, Line, OrderId, ParsePlaceError, ParseSkuError, Place, Places, Quantity, QuantityError, Sku,
};
pub use money::{Currency, Money, MoneyError};
pub use slot::{SLOTS, slot_of, stable_hash};
pub use text::unseen;

/// Any JSON value, so that contracts need no JSON library of their own.
pub use serde_json::Value as Json;
/// How a [`Timestamp`] is written in JSON (RFC 3339), for `#[serde(with = "banyan_kernel::rfc3339")]`.
pub use time::serde::rfc3339;
