//! Modules tell each other what happened through a bus: durable, at least once, in order per key.
//!
//! A [`Source`] is a module's outbox. A [`Consumer`] applies its events: effects and position commit in one
//! transaction of the consumer's own database, so an effect happens exactly once however often the event
//! comes. [`run_group`] drives a group's slots; [`LocalBus`] puts the two together in one process. What
//! cannot be applied becomes a dead letter and parks its key. [`subscribe`] is for caches, [`Rebuild`] for views.

mod broadcast;
mod bus;
pub mod cache;
mod carrier;
mod consumer;
mod counters;
mod dead_letter;
mod group;
mod hearing;
mod inbox;
mod lanes;
mod outbox;
mod pg_inbox;
mod read_model;
#[cfg(test)]
mod sim;
mod source;
mod spans;
#[cfg(feature = "testing")]
pub mod testing;

pub use broadcast::{BROADCAST_BUFFER_EVENTS, subscribe};
pub use bus::{Bus, BusError, LocalBus};
pub use carrier::{Brokers, Carriage, GroupView, Relaying, SlotView, Told, TopicView, Topics, Waiting};
pub use consumer::{Applied, Consumer};
pub use counters::Counters;
pub use dead_letter::{DROPPED, DeadLetter, DeadLetterError, DeadLetters, Decision};
pub use group::{GroupOptions, run_group};
pub use hearing::{Hearing, hear};
pub use inbox::{Batch, Inbox, Letter, Outcome, Refused, settle};
pub use outbox::OutboxSource;
pub use pg_inbox::{PgInbox, move_slots};
pub use read_model::{
    Building, CopyOf, Feed, Judged, Phase, Progress, ReadModel, Rebuild, RebuildError, Rebuilding, Rebuilt,
    rebuild,
};
pub use source::Source;
