//! The one hash that faults, ids and fingerprints are made of: stable for ever, unlike std's.

use sha2::{Digest as _, Sha256};

/// SHA-256 over parts, each preceded by its length, so that `["ab", "c"]` and `["a", "bc"]` differ.
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// Evenly spread over `0..1_000_000`; the bias of the remainder is below 1e-13.
    pub(crate) fn millionth(&self) -> u32 {
        (self.number() % 1_000_000) as u32
    }

    /// Another, independent coin of the same digest.
    pub(crate) fn coin(&self) -> bool {
        self.0[31] & 1 == 1
    }

    pub(crate) fn wide(&self) -> u128 {
        u128::from_be_bytes(self.0[..16].try_into().expect("a digest has 32 bytes"))
    }

    /// The first 24 hex digits, the length of a gateway's ids.
    pub(crate) fn short_hex(&self) -> String {
        hex::encode(&self.0[..12])
    }

    fn number(&self) -> u64 {
        u64::from_be_bytes(self.0[..8].try_into().expect("a digest has 32 bytes"))
    }
}
