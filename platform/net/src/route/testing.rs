//! A route that goes every way, for the tests of every contract's routed form.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use super::{Choice, Gauge, Route, Switch};

/// Local, remote, in the shadow: what has a key goes by it, what has none another way each time.
#[derive(Default)]
struct Alternating(AtomicUsize);

impl Switch for Alternating {
    fn choose(&self, _: &'static str, key: Option<&str>) -> Choice {
        let by_key =
            |key: &str| key.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
        let which = key.map_or_else(|| self.0.fetch_add(1, Relaxed), by_key);
        [Choice::Local, Choice::Remote, Choice::Shadow][which % 3]
    }
}

/// A module's route between these sides that splits what it is asked between them.
#[must_use]
pub fn alternating<S: Clone + Send + Sync + 'static>(
    module: &'static str,
    here: S,
    there: S,
) -> (Route<S>, Arc<Gauge>) {
    let gauge = Arc::new(Gauge::of(module));
    (Route::new(module, here, there, (Arc::new(Alternating::default()), gauge.clone())), gauge)
}
