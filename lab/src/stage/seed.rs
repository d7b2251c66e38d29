//! Chance that can be had again.

use std::hash::{BuildHasher, Hasher, RandomState};

/// A stream of numbers (SplitMix64, G. Steele, D. Lea, C. Flood, OOPSLA 2014).
#[derive(Clone, Debug)]
pub struct Seed(u64);

impl Seed {
    /// `BANYAN_SEED`, or one that nobody foresaw; printed, so that it can be had again.
    ///
    /// # Panics
    /// When `BANYAN_SEED` is no number.
    #[must_use]
    pub fn from_env(what: &str) -> Self {
        let named = std::env::var("BANYAN_SEED").ok();
        let seed = named.map_or_else(|| Self::unforeseen().0 % 1_000_000, |s| s.parse().expect("a number"));
        println!("{what}: BANYAN_SEED={seed}");
        Self(seed)
    }

    /// This one.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        Self(seed)
    }

    /// One that nobody foresaw.
    pub(super) fn unforeseen() -> Self {
        Self(RandomState::new().build_hasher().finish())
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// The next number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit.max(1)
    }
}
