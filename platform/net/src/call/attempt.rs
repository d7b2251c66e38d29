//! How long one attempt at one instance may take.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::timeout;
use tower::{Service, ServiceExt};

use super::{Answering, Answers, Call, CallError, Reply};

#[derive(Clone)]
pub(super) struct InTime<S> {
    time_out: Duration,
    inner: S,
}

impl<S> InTime<S> {
    pub(super) fn new(time_out: Duration, inner: S) -> Self {
        Self { time_out, inner }
    }
}

impl<S: Answers> Service<Call> for InTime<S> {
    type Response = Reply;
    type Error = CallError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Answering {
        let (time_out, inner) = (self.time_out, self.inner.clone());
        let late = move |_| CallError::NoAnswer(format!("within {time_out:?}"));
        Box::pin(async move { timeout(time_out, inner.oneshot(call)).await.map_err(late)? })
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::call::tests::{Script, call};

    #[tokio::test(start_paused = true)]
    async fn an_attempt_without_an_answer_ends_in_its_time() {
        let began = Instant::now();
        let got = InTime::new(Duration::from_millis(300), Script::silent()).call(call()).await;
        assert_eq!(got.unwrap_err(), CallError::NoAnswer("within 300ms".to_owned()));
        assert_eq!(began.elapsed(), Duration::from_millis(300));
    }
}
