//! Several processes drive the same orders over the log in memory and modules in memory: seeded delays and
//! faults at every operation, processes that die at any of them, cancels, people who look, clocks that jump.
//! One seed is one history, the same each time.
//!
//! `BANYAN_SEED=7 cargo test -p orders-core --lib sim` runs one history alone.

mod history;
mod process;

use history::{Bug, play};

const SEEDS: u64 = 1_000;

/// Numbers from a seed.
#[derive(Debug)]
pub(crate) struct Rng(u64);

impl Rng {
    pub fn new(seed: u64, who: u64) -> Self {
        Self(banyan_kernel::stable_hash(&[seed.to_le_bytes(), who.to_le_bytes()].concat()))
    }

    /// Below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        banyan_kernel::stable_hash(&self.0.to_le_bytes()) % end
    }

    pub fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// One history; what it was, as a hash, or what went wrong.
fn run(seed: u64, bug: Bug) -> Result<u64, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime without threads can be made").block_on(play(seed, bug))
}

fn seeds() -> std::ops::Range<u64> {
    let asked = std::env::var("BANYAN_SEED").ok();
    asked.map_or(0..SEEDS, |seed| {
        let seed = seed.parse().expect("BANYAN_SEED is a number");
        seed..seed + 1
    })
}

/// The seeds by turns, on each of the machine's cores; the first that failed of each.
fn run_all(seeds: &std::ops::Range<u64>) -> Vec<(u64, String)> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let run_share = |core: usize| {
        let mut share = seeds.clone().skip(core).step_by(cores);
        share.find_map(|seed| run(seed, Bug::None).err().map(|why| (seed, why)))
    };
    std::thread::scope(|scope| {
        let shares: Vec<_> = (0..cores).map(|core| scope.spawn(move || run_share(core))).collect();
        shares.into_iter().filter_map(|share| share.join().expect("a history does not panic")).collect()
    })
}

#[test]
fn every_order_ends_and_all_books_balance_whatever_dies() {
    if let Some((seed, why)) = run_all(&seeds()).first() {
        panic!("{why}\nagain: BANYAN_SEED={seed} cargo test -p orders-core --lib sim");
    }
}

#[test]
fn one_seed_is_one_history() {
    for seed in 0..20 {
        assert_eq!(run(seed, Bug::None), run(seed, Bug::None), "seed {seed}");
    }
}

/// The simulation is worth what it finds.
#[test]
fn planted_bugs_are_found() {
    for bug in Bug::PLANTED {
        let found = (0..SEEDS).find_map(|seed| run(seed, bug).err().map(|why| (seed, why)));
        let (seed, why) = found.unwrap_or_else(|| panic!("{bug:?} was not found in {SEEDS} seeds"));
        println!("{bug:?}: seed {seed}: {}", why.lines().next().unwrap_or_default());
    }
}
