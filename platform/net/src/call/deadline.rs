//! How long a call may take in all, whatever is tried; what is left of it is told to the callee.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use axum::http::HeaderMap;
use tokio::time::{Instant, timeout_at};
use tower::{Service, ServiceExt};

use super::{Answering, Answers, Call, CallError, Reply};

/// How many milliseconds are left until nobody waits for the answer any more.
pub const DEADLINE_HEADER: &str = "banyan-deadline-ms";

tokio::task_local! {
    static ASKED_FOR_UNTIL: Instant;
}

/// Does something for somebody who waits no longer than this: neither do the calls that are made for it.
pub async fn until<F: Future>(deadline: Option<Instant>, work: F) -> F::Output {
    match deadline {
        Some(deadline) => ASKED_FOR_UNTIL.scope(deadline, work).await,
        None => work.await,
    }
}

#[derive(Clone)]
pub(super) struct Deadline<S> {
    within: Duration,
    inner: S,
}

impl<S> Deadline<S> {
    pub(super) fn new(within: Duration, inner: S) -> Self {
        Self { within, inner }
    }
}

impl<S: Answers> Service<Call> for Deadline<S> {
    type Response = Reply;
    type Error = CallError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut call: Call) -> Answering {
        let usual = Instant::now() + self.within;
        let others = [call.deadline, ASKED_FOR_UNTIL.try_with(|deadline| *deadline).ok()];
        let deadline = others.into_iter().flatten().fold(usual, Instant::min);
        call.deadline = Some(deadline);
        let inner = self.inner.clone();
        Box::pin(async move {
            if deadline <= Instant::now() {
                return Err(CallError::NotSent("nobody waits for the answer any more"));
            }
            let late = |_| CallError::NoAnswer("within the deadline".to_owned());
            timeout_at(deadline, inner.oneshot(call)).await.map_err(late)?
        })
    }
}

/// What an incoming request says is left, if it says so.
#[must_use]
pub fn remaining(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get(DEADLINE_HEADER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_millis(said))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::tests::{Script, call};

    #[tokio::test(start_paused = true)]
    async fn a_call_ends_by_the_sooner_of_two_deadlines_and_says_what_is_left() {
        let (silent, began) = (Script::silent(), Instant::now());
        let mut layer = Deadline::new(Duration::from_secs(2), silent.clone());
        let got = layer.call(call()).await;
        assert_eq!(got.unwrap_err(), CallError::NoAnswer("within the deadline".to_owned()));
        assert_eq!(began.elapsed(), Duration::from_secs(2));
        let sooner = Call { deadline: Some(Instant::now() + Duration::from_millis(70)), ..call() };
        let (got, began) = (layer.call(sooner.clone()).await, Instant::now());
        assert!(got.is_err() && began.elapsed() == Duration::ZERO);
        assert_eq!(silent.heard().last().and_then(|call| call.deadline), sooner.deadline);
        let asked = silent.heard().len();
        let got = layer.call(sooner).await;
        assert!(matches!(got, Err(CallError::NotSent(_))), "it has passed: {got:?}");
        assert_eq!(silent.heard().len(), asked, "and nobody was asked");
    }

    #[tokio::test(start_paused = true)]
    async fn the_deadline_of_who_asks_is_that_of_the_calls_made_for_them() {
        let script = Script::new(|_| Script::done());
        let mut layer = Deadline::new(Duration::from_secs(2), script.clone());
        let asked = Instant::now() + Duration::from_millis(300);
        until(Some(asked), async { layer.call(call()).await }).await.expect("an answer");
        assert_eq!(script.heard()[0].deadline, Some(asked));
        until(None, async { layer.call(call()).await }).await.expect("an answer");
        assert_eq!(script.heard()[1].deadline, Some(Instant::now() + Duration::from_secs(2)));
    }
}
