//! Asks once more, after a while, if there is something in the purse ("Finagle": a share of what was asked may be asked again).
//!
//! The purse and the mechanics are tower's; the back-off is ours, since tower's jitter is added to a fixed wait, and full jitter
//! draws from the whole of it ("Exponential Backoff and Jitter", AWS Architecture Blog, 2015).

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use banyan_kernel::stable_hash;
use opentelemetry::{KeyValue, global, metrics::Counter};
use tokio::time::{Instant, Sleep, sleep};
use tower::retry::{
    Policy, Retry,
    budget::{Budget, TpsBudget},
};

use super::{Call, CallError, Reply};

/// A retry of a retry waits at most this long.
const BACK_OFF_MAX: Duration = Duration::from_secs(1);
const BACK_OFF_FIRST: Duration = Duration::from_millis(20);
/// For so long a call counts for the purse.
const REMEMBERED: Duration = Duration::from_secs(10);
/// So many retries of all that was asked.
const SHARE: f32 = 0.1;
/// A caller that asks seldom may ask again once a second.
const AT_LEAST_PER_S: u32 = 1;

static ATTEMPTS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    global::meter("banyan")
        .u64_counter("banyan.call.attempts")
        .with_description("Attempts of calls, by callee: first, again, and what was not tried again as the budget was spent")
        .build()
});

/// Whether and when one call is tried again.
#[derive(Clone, Debug)]
pub(super) struct Again {
    name: &'static str,
    attempts_max: u32,
    attempt: u32,
    purse: Arc<TpsBudget>,
}

impl Again {
    /// Around `inner`, with a purse of its own.
    pub(super) fn around<S>(name: &'static str, attempts_max: u32, inner: S) -> Retry<Self, S> {
        let purse = Arc::new(TpsBudget::new(REMEMBERED, AT_LEAST_PER_S, SHARE));
        Retry::new(Self { name, attempts_max, attempt: 0, purse }, inner)
    }

    fn count(&self, kind: &'static str) {
        ATTEMPTS.add(1, &[KeyValue::new("callee", self.name), KeyValue::new("kind", kind)]);
    }
}

impl Policy<Call, Reply, CallError> for Again {
    type Future = Sleep;

    fn retry(&mut self, call: &mut Call, result: &mut Result<Reply, CallError>) -> Option<Sleep> {
        // What was refused or not understood is so again.
        let may_help = matches!(result, Err(CallError::NoAnswer(_) | CallError::NotSent(_)));
        if !may_help || self.attempt + 1 >= self.attempts_max {
            return None;
        }
        let wait = back_off(call, self.attempt);
        if call.deadline.is_some_and(|deadline| Instant::now() + wait >= deadline) {
            return None;
        }
        if !self.purse.withdraw() {
            self.count("not_paid_for");
            return None;
        }
        self.attempt += 1;
        self.count("again");
        Some(sleep(wait))
    }

    /// Called with each call, before it is first made.
    fn clone_request(&mut self, call: &Call) -> Option<Call> {
        if self.attempt == 0 {
            self.count("first");
            self.purse.deposit();
        }
        (self.attempts_max > 1 && call.again).then(|| call.clone())
    }
}

/// Anything from nought to a bound that doubles; drawn from the call's own span, so that no two calls wait alike.
fn back_off(call: &Call, attempt: u32) -> Duration {
    let most = BACK_OFF_FIRST.saturating_mul(1 << attempt.min(10)).min(BACK_OFF_MAX);
    let drawn = stable_hash(format!("{} {attempt}", call.trace).as_bytes()) % 1_000;
    most.mul_f64(drawn as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use tower::{Service, ServiceExt};

    use super::*;
    use crate::call::tests::{Script, call};

    async fn asked(
        layer: &mut (impl Service<Call, Response = Reply, Error = CallError> + Clone),
    ) -> Result<u16, CallError> {
        layer.clone().oneshot(call()).await.map(|reply| reply.status)
    }

    #[tokio::test(start_paused = true)]
    async fn what_fails_once_is_asked_again_after_a_while_and_within_the_deadline() {
        let once = Script::new(|nth| if nth == 0 { Script::lost() } else { Script::done() });
        let mut layer = Again::around("test", 3, once.clone());
        assert_eq!(asked(&mut layer).await, Ok(200));
        assert_eq!(once.heard().len(), 2);
        let never = Script::new(|_| Script::lost());
        let mut layer = Again::around("test", 3, never.clone());
        assert!(asked(&mut layer).await.is_err());
        assert_eq!(never.heard().len(), 3, "three attempts in all");
        let late = Call { deadline: Some(Instant::now()), ..call() };
        assert!(layer.call(late).await.is_err());
        assert_eq!(never.heard().len(), 4, "nobody would wait for a second answer");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_and_a_caller_with_a_retry_of_its_own_are_asked_once() {
        let refused = Script::new(|_| Err(CallError::Forbidden(403)));
        assert!(asked(&mut Again::around("test", 3, refused.clone())).await.is_err());
        assert_eq!(refused.heard().len(), 1);
        let lost = Script::new(|_| Script::lost());
        assert!(asked(&mut Again::around("test", 1, lost.clone())).await.is_err());
        assert_eq!(lost.heard().len(), 1);
        let durable = Call { again: false, ..call() };
        assert!(Again::around("test", 3, lost.clone()).oneshot(durable).await.is_err());
        assert_eq!(lost.heard().len(), 2);
    }

    /// The goal is 1.2: a tenth of what was asked, and one a second.
    #[tokio::test(start_paused = true)]
    async fn while_nobody_answers_what_is_sent_stays_under_a_fifth_more_than_what_was_asked() {
        let lost = Script::new(|_| Script::lost());
        let mut layer = Again::around("test", 3, lost.clone());
        for _ in 0..1_000 {
            assert!(asked(&mut layer).await.is_err());
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        let sent = lost.heard().len();
        println!("1000 calls asked, {sent} sent (goal: under 1200)");
        assert!((1_020..1_200).contains(&sent), "{sent}");
    }

    #[test]
    fn a_wait_is_drawn_from_the_whole_of_a_bound_that_doubles_up_to_a_cap() {
        let waits = |attempt: u32| {
            let mut call = call();
            let draw = move |n: u32| {
                call.trace = call.trace.child(&n.to_string());
                back_off(&call, attempt)
            };
            (0..500).map(draw).collect::<Vec<Duration>>()
        };
        for (attempt, most) in [(0, 20), (1, 40), (3, 160), (9, 1_000)] {
            let (waits, most) = (waits(attempt), Duration::from_millis(most));
            assert!(waits.iter().all(|wait| *wait <= most), "{attempt}");
            let spread = (waits.iter().min().unwrap(), waits.iter().max().unwrap());
            assert!(*spread.0 < most / 10 && *spread.1 > most * 9 / 10, "{attempt}: {spread:?}");
        }
    }
}
