//! What a process says and does for its operators: about itself, its dead letters, read models and topics. Written once, for the shop
//! and for a module's own process; asked here or by HTTP, as any contract.
//!
//! What is about a database (dead letters, a rebuild, where groups stand) any process of the module can be asked. What is about a
//! process ([`Operations::about`]) is asked of each.

mod ask;
mod elsewhere;
mod here;
mod look;
mod questions;
mod readiness;
mod rebuild;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use async_trait::async_trait;
use banyan_bus::{Building, TopicView};
use banyan_kernel::Answer;
use banyan_net::call::CalleeView;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

pub use elsewhere::Elsewhere;
pub use here::Here;
pub use look::observe;
pub(crate) use questions::{PATH, router};
pub use readiness::{Dependency, Draining, Readiness, Ready};
pub use rebuild::AskedRebuild;

/// What a refusal is called.
pub mod refusals {
    /// There is no such group in that process.
    pub const UNKNOWN_GROUP: &str = "unknown_group";
    /// A dead letter stays where it is.
    pub const DEAD_LETTER: &str = "dead_letter";
    /// There is no such read model in that process.
    pub const UNKNOWN_READ_MODEL: &str = "unknown_read_model";
    /// A read model stays as it is.
    pub const NOT_REBUILT: &str = "not_rebuilt";
    /// Nothing there tells under that name.
    pub const UNKNOWN_SOURCE: &str = "unknown_source";
    /// Events are read where they are written.
    pub const NO_TOPICS: &str = "no_topics";
    /// Who, or why, is missing or too long.
    pub const INVALID_BODY: &str = "invalid_body";
}

/// What operators ask of a process.
#[async_trait]
pub trait Operations: Send + Sync + 'static {
    /// How it is.
    async fn about(&self) -> Answer<About>;
    /// A group's dead letters, at most the first 1,000.
    async fn letters(&self, group: &str) -> Answer<Vec<LetterView>>;
    /// Applies a key's letter and all that queue behind it; how many that were.
    async fn replay(&self, group: &str, key: &str, by: &By) -> Answer<u64>;
    /// Gives a key's oldest letter up.
    async fn drop_letter(&self, group: &str, key: &str, place: i64, by: &By) -> Answer<()>;
    /// Its views that can be folded again.
    async fn read_models(&self) -> Answer<Vec<String>>;
    /// Begins to fold one of them again.
    async fn begin_rebuild(&self, model: &str) -> Answer<Building>;
    /// The next step of that.
    async fn rebuild_step(&self, building: Building, by: &By) -> Answer<Building>;
    /// The topics that it tells or hears, as far as it knows them.
    async fn topics(&self) -> Answer<Vec<TopicView>>;
    /// Makes the topic of what is told from here anew from its outbox; then those elsewhere who hear it are to begin anew.
    async fn recover(&self, source: &str, by: &By) -> Answer<()>;
    /// Has its groups begin anew that hear a source whose topic was made anew; which they are.
    async fn begin_anew(&self, source: &str, by: &By) -> Answer<Vec<String>>;
}

/// Who wants something, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct By {
    /// As `role:id`.
    pub who: String,
    /// In their own words.
    pub why: String,
}

/// A process.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct About {
    /// The module that it is the process of; `shop` for the front.
    pub name: String,
    /// Which build it is.
    pub version: String,
    /// Unique among living processes.
    pub instance: Uuid,
    /// How long it has run.
    pub up_for_s: u64,
    /// Whether it can work, and whom it lacks.
    pub readiness: Ready,
    /// What each group did, and where it stands.
    pub groups: BTreeMap<String, GroupAbout>,
    /// Slots that it holds, of all groups and of all that works by itself.
    pub slots_held: u64,
    /// Whom it calls.
    pub calls: Vec<CalleeView>,
    /// Each module's connections.
    pub pools: Vec<PoolAbout>,
}

/// A group in a process. The counts are since the process began.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
pub struct GroupAbout {
    /// Events whose effects were committed.
    pub applied: u64,
    /// Events that had been applied before.
    pub duplicates: u64,
    /// Events that it does not care for.
    pub skipped: u64,
    /// Times that an event came before an earlier one of its subject.
    pub gaps: u64,
    /// Events that became dead letters.
    pub poisoned: u64,
    /// Events that were put behind a dead letter of their key.
    pub queued: u64,
    /// Times that a slot was paused because the database could not do it now.
    pub pauses: u64,
    /// Slots that are paused now.
    pub paused_slots: u64,
    /// Where the slot that is furthest behind stands.
    pub reached: Reached,
    /// Slots that this process holds of it.
    pub held: u64,
    /// Slots of these that are not served until somebody does something: `banyan topics` says why.
    pub stopped_slots: u64,
    /// Age of the oldest event that it has not applied of these slots; absent where nobody could say.
    pub lag_s: Option<f64>,
    /// Keys that wait behind a dead letter, in the database; absent where nobody could say.
    pub parked: Option<u64>,
}

/// A position, in its parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct Reached {
    /// The incarnation of the source's database.
    pub epoch: i64,
    /// The transaction.
    pub xid: i64,
    /// The row.
    pub seq: i64,
}

/// Connections of a module's pool.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct PoolAbout {
    /// Whose.
    pub module: String,
    /// Open.
    pub open: u64,
    /// Of those, at work.
    pub busy: u64,
}

/// A dead letter, or an event that queues behind one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LetterView {
    /// What is parked.
    pub key: String,
    /// Its place in the key's queue.
    pub place: i64,
    /// What happened.
    #[serde(rename = "type")]
    pub kind: String,
    /// Of its subject.
    pub sequence: i64,
    /// Why it failed; none for one that was never tried.
    pub reason: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// Of the order that it is about.
    pub correlation: String,
}

impl GroupAbout {
    /// What two processes did of one group.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        // Who holds none of its slots has reached nothing.
        let reached = match (self.held, other.held) {
            (_, 0) => self.reached,
            (0, _) => other.reached,
            _ => self.reached.min(other.reached),
        };
        Self {
            applied: self.applied + other.applied,
            duplicates: self.duplicates + other.duplicates,
            skipped: self.skipped + other.skipped,
            gaps: self.gaps + other.gaps,
            poisoned: self.poisoned + other.poisoned,
            queued: self.queued + other.queued,
            pauses: self.pauses + other.pauses,
            paused_slots: self.paused_slots + other.paused_slots,
            reached,
            held: self.held + other.held,
            stopped_slots: self.stopped_slots + other.stopped_slots,
            lag_s: self.lag_s.into_iter().chain(other.lag_s).reduce(f64::max),
            parked: self.parked.max(other.parked),
        }
    }
}
