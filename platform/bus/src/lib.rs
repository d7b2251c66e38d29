//! Modules tell each other what happened through a bus: durable, at least once, in order per key.
//!
//! A [`Source`] is a module's outbox. A [`Consumer`] applies its events: effects and position commit in one
//! transaction of the consumer's own database, so an effect happens exactly once however often the event
//! comes.

mod consumer;
mod source;

pub use consumer::{Applied, Consumer};
pub use source::Source;
