//! Time is a parameter: nothing but [`SystemClock`] asks the machine.

use std::sync::atomic::{AtomicI64, Ordering};

use time::OffsetDateTime;

/// A moment in UTC, to the microsecond (what PostgreSQL keeps, and what is hashed).
pub type Timestamp = OffsetDateTime;

/// Tells the time of day.
pub trait Clock: Send + Sync + 'static {
    /// Now, cut to the microsecond.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    fn now(&self) -> Timestamp {
        from_micros(micros(OffsetDateTime::now_utc()))
    }
}

/// A clock that stands until it is moved: for tests and simulation.
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Stands at `micros` since 1970.
    #[must_use]
    pub fn at_micros(micros: i64) -> Self {
        Self(AtomicI64::new(micros))
    }

    /// Moves it; it may go back, as real ones do.
    pub fn advance_micros(&self, micros: i64) {
        self.0.fetch_add(micros, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        from_micros(self.0.load(Ordering::SeqCst))
    }
}

fn micros(at: Timestamp) -> i64 {
    i64::try_from(at.unix_timestamp_nanos() / 1_000).unwrap_or(i64::MAX)
}

fn from_micros(micros: i64) -> Timestamp {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1_000)
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}
