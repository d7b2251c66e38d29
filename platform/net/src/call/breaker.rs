//! Stops asking somebody who does not answer, and lets one ask find out when they do again.

use std::{collections::VecDeque, time::Duration};

use tokio::time::Instant;

/// How many of the last calls are remembered.
const WINDOW: usize = 20;
/// Half of what they asked about, and at least so many items, without an answer open it.
const UNANSWERED_MAX: u32 = 10;
/// One large batch that got no answer is one accident: so many calls must have met with one.
const CALLS_MIN: usize = 3;
/// How long it stays open the first time; twice as long each time the probe fails, up to the cap.
const OPEN_FIRST: Duration = Duration::from_millis(500);
const OPEN_MAX: Duration = Duration::from_secs(4);

/// A state machine without I/O: the time is a parameter. Counts items, whatever status they came with.
#[derive(Debug)]
pub struct Breaker {
    /// The last calls, the newest at the end.
    last: VecDeque<Counted>,
    state: State,
}

/// What became of a call's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// Of so many somebody could say what became of them.
    pub answered: u32,
    /// Of so many nobody could.
    pub unanswered: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    Open { until: Instant, times: u32 },
    Probing { times: u32 },
}

/// How many calls it would let through now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// Any number.
    Free,
    /// One, to find out.
    Probe,
    /// None.
    Shut,
}

/// Let through; to be given back with what came of it.
#[derive(Debug, PartialEq, Eq)]
pub struct Admission {
    probe: bool,
}

/// What a call's outcome did to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// It lets nobody through for a while.
    Opened,
    /// It lets everybody through again.
    Closed,
}

impl Default for Breaker {
    fn default() -> Self {
        Self { last: VecDeque::new(), state: State::Closed }
    }
}

impl Breaker {
    /// How many calls it would let through.
    #[must_use]
    pub fn room(&self, now: Instant) -> Room {
        match self.state {
            State::Closed => Room::Free,
            State::Open { until, .. } if now >= until => Room::Probe,
            State::Open { .. } | State::Probing { .. } => Room::Shut,
        }
    }

    /// Lets a call through, or not.
    pub fn admit(&mut self, now: Instant) -> Option<Admission> {
        let probe = match self.room(now) {
            Room::Shut => return None,
            Room::Free => false,
            Room::Probe => true,
        };
        if let State::Open { times, .. } = self.state {
            self.state = State::Probing { times };
        }
        Some(Admission { probe })
    }

    /// What became of the call, and whether that turned it. A probe that fails turns nothing: it was open.
    pub fn record(&mut self, admission: Admission, counted: Counted, now: Instant) -> Option<Turned> {
        match (self.state, admission.probe) {
            (State::Closed, _) => {
                if self.last.len() == WINDOW {
                    self.last.pop_front();
                }
                self.last.push_back(counted);
                self.is_too_much().then(|| {
                    self.open(1, now);
                    Turned::Opened
                })
            }
            (State::Probing { times }, true) if counted.unanswered > counted.answered => {
                self.open(times + 1, now);
                None
            }
            (State::Probing { .. }, true) => {
                *self = Self::default();
                Some(Turned::Closed)
            }
            // Sent before it opened: the probe decides.
            _ => None,
        }
    }

    fn is_too_much(&self) -> bool {
        let sum = |of: fn(&Counted) -> u32| self.last.iter().map(|call| u64::from(of(call))).sum::<u64>();
        let (answered, unanswered) = (sum(|call| call.answered), sum(|call| call.unanswered));
        let calls = self.last.iter().filter(|call| call.unanswered > 0).count();
        calls >= CALLS_MIN && unanswered >= answered && unanswered >= UNANSWERED_MAX.into()
    }

    fn open(&mut self, times: u32, now: Instant) {
        let long = OPEN_FIRST.saturating_mul(1 << (times - 1).min(8)).min(OPEN_MAX);
        self.state = State::Open { until: now + long, times };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Counted = Counted { answered: 1, unanswered: 0 };
    const NONE: Counted = Counted { answered: 0, unanswered: 1 };

    fn call(breaker: &mut Breaker, answered: bool) -> Option<Turned> {
        turn(breaker, if answered { ONE } else { NONE })
    }

    fn turn(breaker: &mut Breaker, counted: Counted) -> Option<Turned> {
        let admission = breaker.admit(Instant::now()).expect("it lets calls through");
        breaker.record(admission, counted, Instant::now())
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::default();
        (1..UNANSWERED_MAX).for_each(|_| assert_eq!(call(&mut breaker, false), None));
        assert_eq!(call(&mut breaker, false), Some(Turned::Opened));
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn a_few_failures_among_many_answers_do_not_open_it() {
        let mut breaker = Breaker::default();
        for n in 0..1_000 {
            call(&mut breaker, n % 3 != 0);
        }
        assert_eq!(breaker.room(Instant::now()), Room::Free);
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_the_window_opens_it_and_one_probe_closes_it() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(Instant::now()), None);
        tokio::time::advance(OPEN_FIRST).await;
        let probe = breaker.admit(Instant::now()).expect("a probe");
        assert_eq!(breaker.admit(Instant::now()), None, "one probe at a time");
        assert_eq!(breaker.record(probe, ONE, Instant::now()), Some(Turned::Closed));
        assert_eq!(breaker.room(Instant::now()), Room::Free);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_probe_waits_longer_up_to_the_cap() {
        let mut breaker = opened();
        for wait in [500, 1_000, 2_000, 4_000, 4_000] {
            tokio::time::advance(Duration::from_millis(wait - 1)).await;
            assert_eq!(breaker.room(Instant::now()), Room::Shut, "before {wait} ms");
            tokio::time::advance(Duration::from_millis(1)).await;
            assert_eq!(call(&mut breaker, false), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_sent_before_it_opened_decides_nothing() {
        let mut breaker = Breaker::default();
        let early = breaker.admit(Instant::now()).unwrap();
        (0..UNANSWERED_MAX).for_each(|_| _ = call(&mut breaker, false));
        tokio::time::advance(OPEN_FIRST).await;
        let probe = breaker.admit(Instant::now()).unwrap();
        assert_eq!(breaker.record(early, ONE, Instant::now()), None);
        assert_eq!(breaker.room(Instant::now()), Room::Shut);
        assert_eq!(breaker.record(probe, ONE, Instant::now()), Some(Turned::Closed));
    }

    /// A batch whose items nobody could answer is no answer, though it came with 200; and one accident is no outage.
    #[tokio::test(start_paused = true)]
    async fn items_are_counted_and_not_calls() {
        let of_fifty = |unanswered| Counted { answered: 50 - unanswered, unanswered };
        let mut breaker = Breaker::default();
        assert_eq!(turn(&mut breaker, of_fifty(50)), None, "one batch that was lost");
        assert_eq!(turn(&mut breaker, of_fifty(50)), None);
        assert_eq!(turn(&mut breaker, of_fifty(50)), Some(Turned::Opened));
        let mut breaker = Breaker::default();
        for _ in 0..100 {
            assert_eq!(turn(&mut breaker, of_fifty(24)), None, "less than half");
        }
        let turned = (0..20).find_map(|_| turn(&mut breaker, of_fifty(26)));
        assert_eq!(turned, Some(Turned::Opened), "more than half");
    }
}
