//! The bus carried by Apache Kafka, under the same promise as the local one and the same conformance suite.
//!
//! A [`Relay`] reads a module's outbox as any group does; its effect is publishing. [`KafkaBus`] serves consumers from
//! the topics: a partition is a slot, slots are owned in the consumer's own database, and what a slot's row says is
//! where its partition is read from. Kafka carries; who works on what, and what was applied, it does not decide.

mod bus;
mod carrier;
mod cluster;
mod envelope;
mod partitions;
mod recover;
mod relay;
mod source;
#[cfg(feature = "testing")]
pub mod testing;
mod topics;

pub use bus::KafkaBus;
pub use carrier::carriage;
pub use cluster::{Cluster, KafkaFailure};
pub use recover::{begin_anew, recover, republish};
pub use relay::{Relay, relay_of};
pub use topics::{Standing, Topic, standing};
