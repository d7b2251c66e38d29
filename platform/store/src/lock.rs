//! Which rows-to-be a write is about, locked in one order for all, before the transaction has an xid.

use std::collections::BTreeSet;

use banyan_kernel::stable_hash;

/// How many locks one kind of key shares. Two keys that share one wait for each other without need, and so do
/// their batches: among 2,048, two batches of 50 met seven times in ten. PostgreSQL's lock table is bounded by
/// the batches, which name at most 500 keys each.
const BUCKETS: u64 = 1 << 20;

/// Keys to lock until the transaction ends. Kinds are locked in the order they were added (command ids
/// first, then SKUs), keys of a kind in the order of their numbers: two overlapping batches cannot
/// deadlock, however their items are ordered.
#[derive(Clone, Debug, Default)]
pub struct Locks {
    kinds: Vec<(&'static str, BTreeSet<i32>)>,
}

impl Locks {
    /// None: for a transaction that adds rows nobody else can mean.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// And these keys of this kind.
    #[must_use]
    pub fn and<K: AsRef<str>>(mut self, kind: &'static str, keys: impl IntoIterator<Item = K>) -> Self {
        let keys = keys.into_iter().map(|key| (stable_hash(key.as_ref().as_bytes()) % BUCKETS) as i32);
        self.kinds.push((kind, keys.collect()));
        self
    }

    /// As PostgreSQL's pairs of lock numbers, in the order to take them.
    pub(crate) fn pairs(&self, schema: &str) -> (Vec<i32>, Vec<i32>) {
        let class = |kind| class_of(schema, kind);
        self.kinds.iter().flat_map(|(kind, keys)| keys.iter().map(move |key| (class(kind), *key))).unzip()
    }
}

/// The first number of the two: a module's kind of key. Advisory locks are of the whole database.
pub(crate) fn class_of(schema: &str, kind: &str) -> i32 {
    stable_hash(format!("{schema}/{kind}").as_bytes()) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_batches_in_opposite_order_lock_in_the_same_order() {
        let forth = Locks::none().and("order", ["a", "b", "c"]).and("sku", ["x", "y"]).pairs("inventory");
        let back = Locks::none().and("order", ["c", "b", "a", "a"]).and("sku", ["y", "x"]).pairs("inventory");
        assert_eq!(forth, back);
        assert_eq!(forth.0.len(), 5);
    }
}
