//! What carries the modules' events, wired: the outboxes themselves, read where they are written; or something that they are
//! brought to.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::Timestamp;
use banyan_store::Store;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{Bus, Consumer, Counters, LocalBus, Source};

/// A carrier, wired.
pub struct Carriage {
    /// What modules tell each other through.
    pub bus: Arc<dyn Bus>,
    /// What brings each source's events there, by the source's name.
    pub relaying: Vec<(&'static str, Relaying)>,
    /// What a person may ask of it and do to it, where it has topics of its own.
    pub topics: Option<Arc<dyn Topics>>,
}

/// What brings a module's events to a carrier, as one member of a group.
pub struct Relaying {
    /// Whose positions say what was brought there.
    pub group: &'static str,
    /// Works until it is told to stop, then finishes what is under way.
    pub run: Box<dyn FnOnce(Arc<Counters>, CancellationToken) -> BoxFuture<'static, ()> + Send>,
}

/// All that is told to and by a process.
pub struct Told {
    /// What its modules tell others, each with the store that it is told from.
    pub own: Vec<(Arc<dyn Source>, Store)>,
    /// What never leaves its module.
    pub private: Vec<Arc<dyn Source>>,
    /// What modules tell that are elsewhere: only a carrier of its own brings that here.
    pub others: Vec<Arc<dyn Source>>,
    /// Everybody here who hears something.
    pub consumers: Vec<Arc<dyn Consumer>>,
}

/// Brokers that carry events, and the topics on them.
#[derive(Clone, Debug)]
pub struct Brokers {
    /// `HOST:PORT`, several with commas.
    pub addresses: String,
    /// What topics begin with.
    pub prefix: String,
    /// On how many brokers each topic is made.
    pub replicas: u16,
}

/// Kafka allows 249 of a topic's name, which is the prefix, a dot, and a module's.
const PREFIX_BYTES_MAX: usize = 100;

impl Brokers {
    /// These brokers, if that is what they are.
    ///
    /// # Errors
    /// Which part is none.
    pub fn new(addresses: &str, prefix: &str, replicas: u16) -> Result<Self, String> {
        if let Some(wrong) = addresses.split(',').map(str::trim).find(|one| !is_broker(one)) {
            return Err(format!("{wrong:?} is no HOST:PORT of a broker"));
        }
        Ok(Self { addresses: addresses.to_owned(), prefix: Self::prefix(prefix)?, replicas })
    }

    /// What topics can begin with.
    ///
    /// # Errors
    /// When they cannot.
    pub fn prefix(text: &str) -> Result<String, String> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let is_one = (1..=PREFIX_BYTES_MAX).contains(&text.len()) && text.chars().all(is_plain);
        let why = || "letters, digits, dots, _ and - make a topic's name, 100 at most".to_owned();
        is_one.then(|| text.to_owned()).ok_or_else(why)
    }
}

fn is_broker(text: &str) -> bool {
    let parts = text.rsplit_once(':');
    parts.is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0))
}

impl Carriage {
    /// The outboxes themselves. What is elsewhere is not heard this way.
    #[must_use]
    pub fn local(told: Told, instance: Uuid) -> Self {
        let own = told.own.into_iter().map(|(source, _)| source);
        let bus = Arc::new(LocalBus::new(own.chain(told.private), instance));
        Self { bus, relaying: Vec::new(), topics: None }
    }
}

/// The topics of a carrier.
#[async_trait]
pub trait Topics: Send + Sync + 'static {
    /// How each stands.
    async fn look(&self) -> Result<Vec<TopicView>, String>;
    /// Whether the carrier answers.
    async fn answers(&self) -> Result<(), String>;
    /// What was brought here for a group and is not applied; none, where this is not what serves the group here.
    fn waiting(&self, group: &str) -> Option<Waiting>;
    /// Makes a source's topic anew from its outbox, and has those here who hear it begin anew; false, where its outbox is elsewhere.
    async fn recover(&self, source: &str) -> Result<bool, String>;
    /// Has those here who hear a source, whose topic was made anew elsewhere, begin with its oldest record. Which groups they are.
    async fn begin_anew(&self, source: &str) -> Result<Vec<String>, String>;
    /// The same for all: after a restore no topic is what the database says.
    async fn recover_all(&self) -> Result<(), String>;
}

/// What a carrier brought for a group and the group has not applied.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Waiting {
    /// When the oldest of it happened.
    pub oldest: Option<Timestamp>,
    /// Slots in hand that are not served until somebody does something.
    pub stopped_slots: u64,
}

/// A source's topic.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct TopicView {
    /// Its name.
    pub topic: String,
    /// Who tells.
    pub source: String,
    /// Of which cluster; none, where there is no such topic.
    pub cluster: Option<String>,
    /// How many it has.
    pub partitions: usize,
    /// How many records it has.
    pub records: i64,
    /// How long it keeps a record.
    pub retention_s: Option<u64>,
    /// Who reads it, and the relay that fills it.
    pub groups: Vec<GroupView>,
}

/// A group on its topic.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct GroupView {
    /// Its name.
    pub group: String,
    /// Records that wait for it; none, where one of its slots does not stand on this topic.
    pub lag: Option<i64>,
    /// Each of its slots.
    pub slots: Vec<SlotView>,
}

/// A slot of a group.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct SlotView {
    /// Which, and so which partition.
    pub slot: usize,
    /// Who serves it: the instance id of a process.
    pub owner: Option<Uuid>,
    /// Where it goes on.
    pub next_offset: Option<i64>,
    /// Records that wait for it.
    pub lag: Option<i64>,
    /// Why it is not served, and the way out.
    pub stopped: Option<String>,
}
