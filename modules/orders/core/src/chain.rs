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

#[cfg(test)]
mod tests {
    use super::*;

    fn link<'a>(previous: &'a Hash, payload: &'a Json) -> Link<'a> {
        Link {
            previous,
            order: OrderId::derive("test", "chain"),
            version: 1,
            kind: "OrderShipped",
            schema_version: 1,
            at: banyan_kernel::Clock::now(&banyan_kernel::ManualClock::at_micros(1_750_000_000_000_001)),
            payload,
        }
    }

    /// What is stored for ever can be verified for ever.
    #[test]
    fn the_hash_of_an_event_never_changes() {
        let payload = serde_json::json!({ "b": 1, "a": "\u{e9}", "actor": "system:saga" });
        assert_eq!(
            hex(link(&START, &payload).hash()),
            "a8511ec60a023764f7f0f852c8951d336c1fed5eb0d80478993fd903c35f4458"
        );
    }

    #[test]
    fn the_order_of_members_is_nothing_and_each_field_is_something() {
        let (payload, other) = (serde_json::json!({ "a": 1, "b": 2 }), serde_json::json!({ "a": 1, "b": 3 }));
        let reordered: Json = serde_json::from_str(r#"{ "b": 2, "a": 1 }"#).unwrap();
        let (first, elsewhere) = (link(&START, &payload), [1; 32]);
        assert_eq!(first.hash(), link(&START, &reordered).hash());
        let changed = [
            Link { previous: &elsewhere, ..first },
            Link { order: OrderId::derive("test", "another"), ..first },
            Link { version: 2, ..first },
            Link { kind: "OrderCancelled", ..first },
            Link { schema_version: 2, ..first },
            Link { at: first.at + std::time::Duration::from_micros(1), ..first },
            Link { payload: &other, ..first },
        ];
        let hashes: std::collections::BTreeSet<Hash> =
            changed.iter().map(Link::hash).chain([first.hash()]).collect();
        assert_eq!(hashes.len(), changed.len() + 1);
    }

    fn hex(hash: Hash) -> String {
        hash.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
