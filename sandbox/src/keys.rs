//! Idempotency keys: remembered for a while, then forgotten, as real gateways do.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::time::Duration;

use time::OffsetDateTime;

struct Held {
    at: OffsetDateTime,
    fingerprint: String,
    line: Range<u64>,
}

/// What is known of a key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Known {
    /// Its answer is the line that begins here.
    Answered(u64),
    /// Its line is not on disk yet, or still being worked on.
    InFlight,
    /// It came with another request.
    Reused,
}

/// The keys of one party or more; a key is known here by its digest.
pub(crate) struct Keys {
    memory: Duration,
    held: HashMap<u128, Held>,
    ages: VecDeque<(OffsetDateTime, u128)>,
    running: HashSet<u128>,
}

impl Keys {
    pub(crate) fn new(memory: Duration) -> Self {
        Self { memory, held: HashMap::new(), ages: VecDeque::new(), running: HashSet::new() }
    }

    pub(crate) fn known(
        &mut self,
        key: u128,
        fingerprint: &str,
        wall: OffsetDateTime,
        durable: u64,
    ) -> Option<Known> {
        self.forget_old(wall);
        if self.running.contains(&key) {
            return Some(Known::InFlight);
        }
        let held = self.held.get(&key).filter(|held| wall - held.at < self.memory)?;
        if held.fingerprint != fingerprint {
            return Some(Known::Reused);
        }
        Some(if held.line.end > durable { Known::InFlight } else { Known::Answered(held.line.start) })
    }

    pub(crate) fn hold(&mut self, key: u128, fingerprint: String, at: OffsetDateTime, line: Range<u64>) {
        self.held.insert(key, Held { at, fingerprint, line });
        self.ages.push_back((at, key));
    }

    pub(crate) fn start(&mut self, key: u128) {
        self.running.insert(key);
    }

    pub(crate) fn stop(&mut self, key: u128) {
        self.running.remove(&key);
    }

    fn forget_old(&mut self, wall: OffsetDateTime) {
        while let Some((at, key)) = self.ages.front().copied().filter(|(at, _)| wall - *at >= self.memory) {
            self.ages.pop_front();
            // A key that was forgotten and used again is held by its later line.
            if self.held.get(&key).is_some_and(|held| held.at == at) {
                self.held.remove(&key);
            }
        }
    }
}
