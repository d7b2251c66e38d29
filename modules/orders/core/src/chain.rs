//! Events of an order are chained by hash: changing one, or cutting some off, shows.

use banyan_kernel::{Json, OrderId, Timestamp};
use sha2::{Digest, Sha256};

/// A link of the chain.
pub type Hash = [u8; 32];

/// Before the first event.
pub const START: Hash = [0; 32];

/// What is hashed, in this order.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    /// The hash before.
    pub previous: &'a Hash,
    /// The stream.
    pub order: OrderId,
    /// The event's place in it.
    pub version: i64,
    /// Its type.
    pub kind: &'a str,
    /// Its schema version.
    pub schema_version: u16,
    /// When it happened.
    pub at: Timestamp,
    /// Its payload, in whatever order the database returns it.
    pub payload: &'a Json,
}

impl Link<'_> {
    /// SHA-256 of the link; the payload in its canonical form (RFC 8785), numbers big-endian, the type led
    /// by its length.
    #[must_use]
    pub fn hash(&self) -> Hash {
        // Payloads hold strings, integers below 2^53 and booleans alone: always canonical.
        let payload = serde_json_canonicalizer::to_vec(self.payload).unwrap_or_default();
        let micros = i64::try_from(self.at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX);
        Sha256::new()
            .chain_update(self.previous)
            .chain_update(self.order.0.as_bytes())
            .chain_update(self.version.to_be_bytes())
            .chain_update((self.kind.len() as u64).to_be_bytes())
            .chain_update(self.kind)
            .chain_update(self.schema_version.to_be_bytes())
            .chain_update(micros.to_be_bytes())
            .chain_update(payload)
            .finalize()
            .into()
    }
}
