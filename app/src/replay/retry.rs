//! What may be asked again, and when.

use std::time::Duration;

/// How long to wait for what. Every number is a limit.
#[derive(Clone, Debug)]
pub struct Patience {
    /// Most tries of one request.
    pub tries_max: u32,
    /// All tries of one request together.
    pub deadline: Duration,
    /// One try.
    pub attempt: Duration,
    /// The first back-off; each further one may be twice as long.
    pub back_off: Duration,
    /// The longest back-off, unless the shop asks for more by `Retry-After`.
    pub back_off_max: Duration,
    /// Between two looks at orders that are open.
    pub poll: Duration,
    /// So long without any order ending means that the shop stands still.
    pub stall: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            tries_max: 60,
            deadline: Duration::from_secs(60),
            attempt: Duration::from_secs(15),
            back_off: Duration::from_millis(50),
            back_off_max: Duration::from_secs(2),
            poll: Duration::from_millis(250),
            stall: Duration::from_secs(30),
        }
    }
}

/// What one try came back with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// No answer, or half of one.
    Nothing,
    /// An HTTP status, and how long the shop asks to wait.
    Status(u16, Option<Duration>),
}

/// What to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// This is the answer.
    Final,
    /// Ask again, with the same key, after so long.
    Again(Duration),
    /// It could be asked again, but not within the limits.
    GiveUp,
}

impl Patience {
    /// Decides after the `tries`-th try, `elapsed` after the first began; `jitter` is drawn from 0..1.
    pub(super) fn judge(&self, heard: Heard, tries: u32, elapsed: Duration, jitter: f64) -> Verdict {
        let asked_to_wait = match heard {
            Heard::Nothing => Duration::ZERO,
            Heard::Status(status, wait) if may_change(status) => wait.unwrap_or_default(),
            Heard::Status(..) => return Verdict::Final,
        };
        let wait = asked_to_wait.saturating_add(self.back_off(tries).mul_f64(jitter));
        if tries >= self.tries_max || elapsed.saturating_add(wait) > self.deadline {
            return Verdict::GiveUp;
        }
        Verdict::Again(wait)
    }

    /// Doubles with every try, up to the longest.
    fn back_off(&self, tries: u32) -> Duration {
        let doubled = 2_u32.saturating_pow(tries.saturating_sub(1));
        self.back_off.saturating_mul(doubled).min(self.back_off_max)
    }
}

/// In flight, too many, or the shop's own fault. All else stays as it is however often it is asked.
fn may_change(status: u16) -> bool {
    matches!(status, 409 | 429 | 500..=599)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn patience() -> Patience {
        Patience {
            tries_max: 8,
            deadline: 30 * SECOND,
            back_off: Duration::from_millis(100),
            back_off_max: SECOND,
            ..Patience::default()
        }
    }

    fn judge(status: u16) -> Verdict {
        patience().judge(Heard::Status(status, None), 1, Duration::ZERO, 0.5)
    }

    #[test]
    fn only_what_may_change_is_asked_again() {
        for status in [200, 201, 204, 301, 400, 401, 403, 404, 405, 408, 410, 413, 415, 422] {
            assert_eq!(judge(status), Verdict::Final, "{status}");
        }
        for status in [409, 429, 500, 502, 503, 504, 599] {
            assert_eq!(judge(status), Verdict::Again(Duration::from_millis(50)), "{status}");
        }
        let nothing = patience().judge(Heard::Nothing, 1, Duration::ZERO, 0.0);
        assert_eq!(nothing, Verdict::Again(Duration::ZERO));
    }

    #[test]
    fn the_back_off_doubles_to_its_longest_and_the_jitter_takes_a_share_of_it() {
        let after = |tries, jitter| patience().judge(Heard::Nothing, tries, Duration::ZERO, jitter);
        let millis = |number| Verdict::Again(Duration::from_millis(number));
        assert_eq!([after(1, 1.0), after(2, 1.0), after(3, 1.0)], [millis(100), millis(200), millis(400)]);
        assert_eq!([after(5, 1.0), after(7, 1.0), after(7, 0.25)], [millis(1000), millis(1000), millis(250)]);
    }

    #[test]
    fn what_the_shop_asks_for_comes_on_top_and_the_limits_hold() {
        let wait = |secs, elapsed| {
            let heard = Heard::Status(429, Some(Duration::from_secs(secs)));
            patience().judge(heard, 1, elapsed, 0.0)
        };
        assert_eq!(wait(3, Duration::ZERO), Verdict::Again(3 * SECOND));
        assert_eq!(wait(3, 28 * SECOND), Verdict::GiveUp);
        assert_eq!(wait(u64::MAX, Duration::ZERO), Verdict::GiveUp);
        assert_eq!(patience().judge(Heard::Nothing, 8, Duration::ZERO, 0.0), Verdict::GiveUp);
        assert_eq!(patience().judge(Heard::Nothing, u32::MAX, Duration::ZERO, 1.0), Verdict::GiveUp);
    }
}
