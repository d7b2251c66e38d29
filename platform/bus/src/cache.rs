//! A read-through cache that hears what changed: an entry older than what was told is never kept.
//!
//! The danger is a load that began before a change and ends after it: it would put the old value back when the
//! invalidation has come and gone. So an invalidation leaves a *floor*, a version below which nothing is kept, for as
//! long as a load may last. What was missed (a lag of the broadcast) clears everything and begins a new generation,
//! whose loads begin anew. A time to live bounds what is left: a change that is told late is seen late, and no later
//! than that. After "Scaling Memcache at Facebook" (R. Nishtala et al., NSDI 2013), section 3.2.1, with versions in
//! the place of leases.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use banyan_kernel::Envelope;
use serde::Serialize;
use tokio::{sync::broadcast, time::Instant};

/// How a cache is bounded.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// All entries together, as the caller weighs them.
    pub bytes: u64,
    /// An entry is loaded anew after so long.
    pub time_to_live: Duration,
    /// A load that takes longer is not kept.
    pub load_time: Duration,
}

impl Default for CacheLimits {
    fn default() -> Self {
        Self { bytes: 32 << 20, time_to_live: Duration::from_secs(30), load_time: Duration::from_secs(5) }
    }
}

/// More floors than this at once, and everything is cleared instead.
const FLOORS_MAX: usize = 65_536;

/// What a cache did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheCounts {
    /// Asked for and found.
    pub hits: u64,
    /// Asked for and not found.
    pub misses: u64,
    /// Loaded, and too old to be kept.
    pub refused: u64,
    /// Told that something changed.
    pub invalidations: u64,
    /// Told that something was missed.
    pub clears: u64,
    /// In it now.
    pub entries: u64,
    /// What they weigh.
    pub bytes: u64,
}

/// When a load began.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    generation: u64,
    began: Instant,
}

/// A cache of values that have versions.
pub struct VersionedCache<K, V> {
    entries: moka::sync::Cache<K, (i64, V)>,
    floors: Mutex<Floors<K>>,
    limits: CacheLimits,
    hits: AtomicU64,
    misses: AtomicU64,
    refused: AtomicU64,
    invalidations: AtomicU64,
    clears: AtomicU64,
}

struct Floors<K> {
    generation: u64,
    of: HashMap<K, (i64, Instant)>,
    tidied: Instant,
}

impl<K, V> VersionedCache<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// An empty one; `bytes` weighs a value.
    #[must_use]
    pub fn new(limits: CacheLimits, bytes: fn(&V) -> usize) -> Self {
        let entries = moka::sync::Cache::builder()
            .max_capacity(limits.bytes)
            .time_to_live(limits.time_to_live)
            .weigher(move |_: &K, (_, value): &(i64, V)| u32::try_from(bytes(value)).unwrap_or(u32::MAX))
            .build();
        let floors = Floors { generation: 0, of: HashMap::new(), tidied: Instant::now() };
        let [hits, misses, refused, invalidations, clears] = [const { AtomicU64::new(0) }; 5];
        Self { entries, floors: Mutex::new(floors), limits, hits, misses, refused, invalidations, clears }
    }

    /// What is kept under a key.
    pub fn get(&self, key: &K) -> Option<V> {
        let found = self.entries.get(key).map(|(_, value)| value);
        if found.is_some() { &self.hits } else { &self.misses }.fetch_add(1, Relaxed);
        found
    }

    /// To be taken before a load begins to read.
    #[must_use]
    pub fn begin(&self) -> Load {
        Load { generation: self.floors().generation, began: Instant::now() }
    }

    /// Keeps what a load found, unless it may be old: below the key's floor, of an earlier generation, or of a load
    /// that outlasted the floors. An older value never takes the place of a newer one.
    pub fn fill(&self, load: Load, key: K, version: i64, value: V) {
        let floors = self.floors();
        let floor = floors.of.get(&key).map_or(i64::MIN, |(version, _)| *version);
        let in_time = load.began.elapsed() < self.limits.load_time;
        let newest = self.entries.get(&key).is_none_or(|(kept, _)| kept <= version);
        if floors.generation == load.generation && in_time && version >= floor && newest {
            self.entries.insert(key, (version, value));
        } else {
            self.refused.fetch_add(1, Relaxed);
        }
        drop(floors);
    }

    /// Something changed: nothing of a lower version is kept from now on.
    pub fn invalidate(&self, key: &K, version: i64) {
        self.invalidations.fetch_add(1, Relaxed);
        let mut floors = self.floors();
        self.tidy(&mut floors);
        if floors.of.len() >= FLOORS_MAX {
            self.forget(&mut floors);
            return;
        }
        let floor = floors.of.entry(key.clone()).or_insert((version, Instant::now()));
        *floor = (floor.0.max(version), Instant::now());
        if self.entries.get(key).is_some_and(|(kept, _)| kept < version) {
            self.entries.invalidate(key);
        }
    }

    /// Something was missed: anything may be old.
    pub fn clear(&self) {
        self.forget(&mut self.floors());
    }

    /// What it did so far.
    #[must_use]
    pub fn counts(&self) -> CacheCounts {
        self.entries.run_pending_tasks();
        CacheCounts {
            hits: self.hits.load(Relaxed),
            misses: self.misses.load(Relaxed),
            refused: self.refused.load(Relaxed),
            invalidations: self.invalidations.load(Relaxed),
            clears: self.clears.load(Relaxed),
            entries: self.entries.entry_count(),
            bytes: self.entries.weighted_size(),
        }
    }

    /// Hears what changed until nobody tells any more.
    pub async fn listen(
        self: Arc<Self>,
        mut told: broadcast::Receiver<Arc<Envelope>>,
        changed: fn(&Envelope) -> Option<(K, i64)>,
    ) {
        loop {
            match told.recv().await {
                Ok(event) => {
                    if let Some((key, version)) = changed(&event) {
                        self.invalidate(&key, version);
                    }
                }
                Err(broadcast::error::RecvError::Lagged(missed)) => {
                    tracing::warn!(missed, "a cache missed what changed and was cleared");
                    self.clear();
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    /// A load that began before a floor's time is over by now.
    fn tidy(&self, floors: &mut Floors<K>) {
        if floors.tidied.elapsed() < self.limits.load_time {
            return;
        }
        floors.tidied = Instant::now();
        floors.of.retain(|_, (_, since)| since.elapsed() < self.limits.load_time);
    }

    fn forget(&self, floors: &mut Floors<K>) {
        self.clears.fetch_add(1, Relaxed);
        floors.generation += 1;
        floors.of.clear();
        self.entries.invalidate_all();
    }

    fn floors(&self) -> MutexGuard<'_, Floors<K>> {
        // Nothing in there panics half-way.
        self.floors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache() -> VersionedCache<&'static str, &'static str> {
        VersionedCache::new(CacheLimits::default(), |value| value.len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_load_held_open_across_an_invalidation_is_not_kept() {
        let cache = cache();
        let held_open = cache.begin();
        cache.invalidate(&"tea", 2);
        cache.fill(held_open, "tea", 1, "old");
        assert_eq!(cache.get(&"tea"), None);
        cache.fill(cache.begin(), "tea", 2, "new");
        assert_eq!(cache.get(&"tea"), Some("new"));
        cache.fill(held_open, "tea", 1, "old");
        assert_eq!(cache.get(&"tea"), Some("new"), "an older one takes no newer one's place");
        assert_eq!((cache.counts().refused, cache.counts().invalidations), (2, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_floor_lasts_as_long_as_a_load_may() {
        let cache = cache();
        let held_open = cache.begin();
        cache.invalidate(&"tea", 2);
        tokio::time::advance(CacheLimits::default().load_time).await;
        cache.invalidate(&"jam", 1);
        assert!(!cache.floors().of.contains_key("tea"), "the floor is given back");
        cache.fill(held_open, "tea", 1, "old");
        assert_eq!(cache.get(&"tea"), None, "and a load that lasted longer counts for nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_missed_clears_and_loads_under_way_count_for_nothing() {
        let cache = cache();
        cache.fill(cache.begin(), "tea", 1, "old");
        let under_way = cache.begin();
        cache.clear();
        cache.fill(under_way, "jam", 1, "old");
        assert_eq!((cache.get(&"tea"), cache.get(&"jam")), (None, None));
    }

    #[tokio::test(start_paused = true)]
    async fn more_floors_than_there_is_room_for_clear_everything() {
        let cache: VersionedCache<usize, u8> = VersionedCache::new(CacheLimits::default(), |_| 1);
        cache.fill(cache.begin(), 0, 1, 0);
        let under_way = cache.begin();
        (0..=FLOORS_MAX).for_each(|key| cache.invalidate(&(key + 1), 1));
        cache.fill(under_way, 1, 0, 0);
        assert_eq!((cache.get(&0), cache.get(&1)), (None, None));
        assert_eq!(cache.counts().clears, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn who_lags_behind_the_broadcast_clears() {
        let cache = Arc::new(cache());
        cache.fill(cache.begin(), "tea", 1, "old");
        let (sender, receiver) = broadcast::channel(1);
        let event = |sequence| {
            Arc::new(Envelope {
                id: uuid::Uuid::nil(),
                kind: "ProductUpdated".to_owned(),
                source: "catalog".to_owned(),
                subject: "jam".to_owned(),
                time: banyan_kernel::Timestamp::UNIX_EPOCH,
                schema_version: 1,
                sequence,
                causation: String::new(),
                actor: String::new(),
                traceparent: banyan_kernel::TraceParent::root(uuid::Uuid::from_u128(1)),
                data: serde_json::Value::Null,
            })
        };
        (1..=3).for_each(|sequence| drop(sender.send(event(sequence))));
        drop(sender);
        cache.clone().listen(receiver, |event| Some(("jam", event.sequence))).await;
        assert_eq!(cache.get(&"tea"), None);
        assert_eq!((cache.counts().clears, cache.counts().invalidations), (1, 1));
    }

    #[test]
    fn entries_are_bounded_in_bytes() {
        let limits = CacheLimits { bytes: 1_000, ..CacheLimits::default() };
        let cache: VersionedCache<usize, [u8; 100]> = VersionedCache::new(limits, |value| value.len());
        (0..1_000).for_each(|key| cache.fill(cache.begin(), key, 1, [0; 100]));
        assert!(cache.counts().bytes <= 1_000, "{:?}", cache.counts());
    }
}
