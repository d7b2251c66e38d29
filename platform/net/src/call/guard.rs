//! The breaker around an instance.

use std::{
    sync::{Arc, LazyLock, Mutex},
    task::{Context, Poll},
};

use opentelemetry::{KeyValue, global, metrics::Counter};
use tokio::{sync::watch, time::Instant};
use tower::{Service, ServiceExt};

use super::{
    Admission, Answering, Answers, Breaker, Call, CallError, Counted, Reply, Room, Turned, counted, locked,
};

static TURNS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    global::meter("banyan")
        .u64_counter("banyan.breaker.turns")
        .with_description("How often the breaker of a callee opened and closed")
        .build()
});

/// One instance's breaker, shared by the layer and by the balancer, which does not choose whom it keeps from being asked.
#[derive(Clone)]
pub(super) struct Guard {
    name: &'static str,
    breaker: Arc<Mutex<Breaker>>,
    /// Who waits for the callee to answer again is told here.
    closed: Arc<watch::Sender<u64>>,
}

impl Guard {
    pub(super) fn new(name: &'static str, closed: Arc<watch::Sender<u64>>) -> Self {
        Self { name, breaker: Arc::default(), closed }
    }

    pub(super) fn around<S>(self, inner: S) -> Guarded<S> {
        Guarded { guard: self, inner }
    }

    /// How many calls would be let through now.
    pub(super) fn room(&self) -> Room {
        locked(&self.breaker).room(Instant::now())
    }

    fn record(&self, admission: Admission, counted: Counted) {
        let turned = locked(&self.breaker).record(admission, counted, Instant::now());
        let (callee, Some(turned)) = (self.name, turned) else { return };
        let to = if turned == Turned::Opened { "open" } else { "closed" };
        TURNS.add(1, &[KeyValue::new("callee", callee), KeyValue::new("to", to)]);
        match turned {
            Turned::Opened => {
                tracing::warn!(callee, correlation = "", "does not answer, and is not asked for a while");
            }
            Turned::Closed => {
                tracing::warn!(callee, correlation = "", "answers again");
                self.closed.send_modify(|count| *count += 1);
            }
        }
    }
}

#[derive(Clone)]
pub(super) struct Guarded<S> {
    guard: Guard,
    inner: S,
}

impl<S: Answers> Service<Call> for Guarded<S> {
    type Response = Reply;
    type Error = CallError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Answering {
        let (guard, inner) = (self.guard.clone(), self.inner.clone());
        Box::pin(async move {
            let admission = locked(&guard.breaker).admit(Instant::now());
            let admission = admission.ok_or(CallError::NotSent("the callee has not answered for a while"))?;
            let (items, unanswered) = (call.items, call.unanswered);
            let mut report = Report { guard, admission: Some(admission), items };
            let result = inner.oneshot(call).await;
            report.tell(counted(items, unanswered, &result));
            result
        })
    }
}

/// Gives the admission back, even where the call is dropped: a lost probe would keep the breaker open.
struct Report {
    guard: Guard,
    admission: Option<Admission>,
    items: u32,
}

impl Report {
    fn tell(&mut self, counted: Counted) {
        if let Some(admission) = self.admission.take() {
            self.guard.record(admission, counted);
        }
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        self.tell(Counted { answered: 0, unanswered: self.items });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::call::tests::{Script, call};

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_dropped_is_given_back_and_the_one_that_is_answered_wakes_who_waits() {
        let closed = Arc::new(watch::Sender::new(0));
        let guard = Guard::new("test", closed.clone());
        let mut lost = guard.clone().around(Script::new(|_| Script::lost()));
        for _ in 0..10 {
            assert!(lost.call(call()).await.is_err());
        }
        assert_eq!(guard.room(), Room::Shut);
        tokio::time::advance(Duration::from_millis(500)).await;
        let mut silent = guard.clone().around(Script::silent());
        let probe = silent.call(call());
        assert!(tokio::time::timeout(Duration::from_millis(1), probe).await.is_err(), "it is dropped");
        assert_eq!(guard.room(), Room::Shut);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(guard.room(), Room::Probe, "and the next one finds out");
        let mut woken = closed.subscribe();
        assert!(guard.clone().around(Script::new(|_| Script::done())).call(call()).await.is_ok());
        assert_eq!(guard.room(), Room::Free);
        assert!(woken.has_changed().unwrap() && *woken.borrow_and_update() == 1);
    }
}
