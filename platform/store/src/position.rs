//! Where a reader of an outbox stands.

use std::{
    collections::BTreeSet,
    fmt,
    str::FromStr,
    sync::{Mutex, PoisonError},
};

use serde_json::{Value, json};

/// A place in a source's outbox: ordered by incarnation, then transaction, then row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The incarnation of the source's database.
    pub epoch: i64,
    /// The transaction (xid8; PostgreSQL counts them in 64 bits, below 2^63).
    pub xid: i64,
    /// The row.
    pub seq: i64,
}

impl Position {
    /// Before everything.
    pub const START: Self = Self { epoch: 0, xid: 0, seq: 0 };

    /// As JSON, for people and headers.
    #[must_use]
    pub fn json(&self) -> Value {
        json!({"epoch": self.epoch, "xid": self.xid, "seq": self.seq})
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.epoch, self.xid, self.seq)
    }
}

impl FromStr for Position {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Option<Vec<i64>> = text.split('/').map(|part| part.parse().ok()).collect();
        match parts.as_deref() {
            Some(&[epoch, xid, seq]) => Ok(Self { epoch, xid, seq }),
            _ => Err(format!("{text} is no EPOCH/XID/SEQ")),
        }
    }
}

/// Where an event stands: in its source's outbox, and on the carrier that brought it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// In the outbox: what every carrier keeps, so that the carrier may change.
    pub position: Position,
    /// Where the carrier goes on after it; none where the outbox itself was read.
    pub carried: Option<Carried>,
}

impl From<Position> for Place {
    fn from(position: Position) -> Self {
        Self { position, carried: None }
    }
}

/// Where a slot goes on, on a carrier with places of its own: beside its position, never in its stead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carried {
    /// On which.
    pub carrier: Carrier,
    /// The next offset in the slot's partition.
    pub next_offset: i64,
}

/// What offsets are good for: those of another cluster, or of other partitions, say nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Carrier {
    /// The cluster's own id.
    pub cluster: &'static str,
    /// Into how many a topic is divided.
    pub partitions: i32,
}

impl Carrier {
    /// Of a cluster, which is remembered for the life of the process: there are one or two.
    #[must_use]
    pub fn new(cluster: &str, partitions: i32) -> Self {
        static KNOWN: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
        let cluster = known.get(cluster).copied().unwrap_or_else(|| {
            let cluster: &'static str = Box::leak(cluster.into());
            known.insert(cluster);
            cluster
        });
        Self { cluster, partitions }
    }
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cluster {} with {} partitions", self.cluster, self.partitions)
    }
}
