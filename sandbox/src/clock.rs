//! Time is a parameter: the wall for what is written down, the uptime for what must not jump.

use std::time::{Duration, Instant};

use time::OffsetDateTime;

/// One reading of a clock.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The time of day, in UTC; written into the book.
    pub wall: OffsetDateTime,
    /// Monotonic time since the clock was made; breaks are measured with it.
    pub uptime: Duration,
}

/// Where the sandbox reads the time.
pub trait Clock: Send + Sync + 'static {
    /// Reads both times at once.
    fn now(&self) -> Moment;
}

/// The machine's clock.
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// A clock whose uptime starts at zero.
    #[expect(clippy::new_without_default, reason = "starting a clock is an act, not a default value")]
    pub fn new() -> Self {
        Self { started: Instant::now() }
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the single place of the sandbox that reads the time")]
    fn now(&self) -> Moment {
        Moment { wall: OffsetDateTime::now_utc(), uptime: self.started.elapsed() }
    }
}
