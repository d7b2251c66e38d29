//! Where a reader of an outbox stands.

use std::fmt;

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
