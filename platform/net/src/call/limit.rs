//! How many calls are under way at one instance: as many as it answers without their getting slower.
//!
//! The limit is Netflix's second gradient (concurrency-limits, `Gradient2Limit`): it compares how long answers take now with how long they
//! take in the long run. It is written here since what tower has (`ConcurrencyLimit`) does not adapt and queues.

use std::{
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Gauge},
};
use tokio::time::Instant;
use tower::{Service, ServiceExt};

use super::{Answering, Answers, Bounds, Call, CallError, Reply, locked};

/// So much slower than in the long run is not slower.
const TOLERANCE: f64 = 1.5;
/// So many calls more than now are tried out.
const MORE: f64 = 4.0;
/// How fast the limit follows.
const SMOOTH: f64 = 0.2;
/// Answers are looked at together that come within so long, and at least so many of them: one says nothing.
const WINDOW: Duration = Duration::from_millis(100);
const WINDOW_ANSWERS_MIN: u32 = 8;
/// How many windows are the long run: a minute. By answers it would be over before a slow callee is seen to be one (tried).
const LONG_RUN: f64 = 600.0;
/// What is left of the limit after a window in which an answer did not come.
const LOST: f64 = 0.9;

static SHED: LazyLock<Counter<u64>> = LazyLock::new(|| {
    global::meter("banyan")
        .u64_counter("banyan.call.shed")
        .with_description("Calls refused as too many were under way, by callee")
        .build()
});
static LIMIT: LazyLock<Gauge<u64>> = LazyLock::new(|| {
    global::meter("banyan")
        .u64_gauge("banyan.call.limit")
        .with_description("How many calls may be under way at an instance of a callee, the last one asked")
        .build()
});

/// A state machine without I/O.
#[derive(Clone, Debug)]
pub struct Limit {
    bounds: Bounds,
    limit: f64,
    /// Seconds that an answer takes in the long run; none before the first.
    long_run: Option<f64>,
    window: Window,
}

/// What came since a moment.
#[derive(Clone, Debug, Default)]
struct Window {
    since: Option<Instant>,
    answers: u32,
    took_s: f64,
    lost: u32,
    under_way_max: u32,
}

impl Limit {
    /// As nothing is known yet.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, limit: f64::from(bounds.first), long_run: None, window: Window::default() }
    }

    /// How many may be under way.
    #[must_use]
    pub fn now(&self) -> u32 {
        // Between two bounds that are such numbers.
        self.limit as u32
    }

    /// Takes in how long an answer took while so many were under way; none for one that did not come.
    pub fn record(&mut self, took: Option<Duration>, under_way: u32, now: Instant) {
        let window = &mut self.window;
        let since = *window.since.get_or_insert(now);
        window.under_way_max = window.under_way_max.max(under_way);
        match took {
            None => window.lost += 1,
            Some(took) => {
                window.answers += 1;
                window.took_s += took.as_secs_f64();
            }
        }
        if now - since >= WINDOW && window.answers + window.lost >= WINDOW_ANSWERS_MIN {
            self.follow();
        }
    }

    fn follow(&mut self) {
        let Window { answers, took_s, lost, under_way_max, .. } = std::mem::take(&mut self.window);
        let next = if lost > 0 {
            self.limit * LOST
        } else {
            self.after((took_s / f64::from(answers)).max(0.000_001), under_way_max)
        };
        self.limit = next.clamp(self.bounds.least.into(), self.bounds.most.into());
    }

    fn after(&mut self, took: f64, under_way: u32) -> f64 {
        let long = self.long_run.unwrap_or(took);
        let long = long + (took - long) * 2.0 / (LONG_RUN + 1.0);
        // After a bad time the long run is soon forgotten, or a slow callee would count as fast for long.
        self.long_run = Some(if long > took * 2.0 { long * 0.95 } else { long });
        if f64::from(under_way) < self.limit / 2.0 {
            // What is not used says nothing of whether it could be.
            return self.limit;
        }
        let gradient = (TOLERANCE * long / took).clamp(0.5, 1.0);
        self.limit * (1.0 - SMOOTH) + (self.limit * gradient + MORE) * SMOOTH
    }
}

/// One instance's limit, shared by the layer and by who looks at it.
#[derive(Clone)]
pub(super) struct Gate {
    limit: Arc<Mutex<Limit>>,
    under_way: Arc<AtomicU32>,
}

impl Gate {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self { limit: Arc::new(Mutex::new(Limit::new(bounds))), under_way: Arc::default() }
    }

    /// How many may be under way, and how many are.
    pub(super) fn look(&self) -> (u32, u32) {
        (locked(&self.limit).now(), self.under_way.load(Ordering::Acquire))
    }
}

#[derive(Clone)]
pub(super) struct Bulkhead<S> {
    name: &'static str,
    gate: Gate,
    inner: S,
}

impl<S> Bulkhead<S> {
    pub(super) fn new(name: &'static str, gate: Gate, inner: S) -> Self {
        Self { name, gate, inner }
    }

    /// Room for one more, if there is.
    fn enter(&self) -> Option<Entered> {
        let most = locked(&self.gate.limit).now();
        let entered = Entered(self.gate.under_way.clone());
        // Counted before it is looked at: of two who come at once for the last place one gets it.
        let before = self.gate.under_way.fetch_add(1, Ordering::AcqRel);
        (before < most).then_some(entered)
    }

    fn record(&self, took: Duration, result: &Result<Reply, CallError>) {
        let took = match result {
            Err(CallError::NoAnswer(_)) => None,
            // By the breaker, which says nothing of how fast anybody is.
            Err(CallError::NotSent(_)) => return,
            _ => Some(took),
        };
        let mut limit = locked(&self.gate.limit);
        limit.record(took, self.gate.under_way.load(Ordering::Acquire), Instant::now());
        LIMIT.record(limit.now().into(), &[KeyValue::new("callee", self.name)]);
    }
}

/// A place among those under way, given back however the call ends.
struct Entered(Arc<AtomicU32>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl<S: Answers> Service<Call> for Bulkhead<S> {
    type Response = Reply;
    type Error = CallError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Answering {
        let this = self.clone();
        Box::pin(async move {
            let Some(_place) = this.enter() else {
                SHED.add(1, &[KeyValue::new("callee", this.name)]);
                return Err(CallError::NotSent("too many calls at once"));
            };
            let began = Instant::now();
            let result = this.inner.clone().oneshot(call).await;
            this.record(began.elapsed(), &result);
            result
        })
    }
}

#[cfg(test)]
mod tests {
    use futures::{StreamExt, stream::FuturesUnordered};

    use super::*;
    use crate::call::tests::{Script, call};

    const BOUNDS: Bounds = Bounds { least: 2, first: 20, most: 200 };

    #[tokio::test(start_paused = true)]
    async fn what_does_not_fit_is_refused_and_a_place_comes_back_however_a_call_ends() {
        let mut layer = Bulkhead::new("test", Gate::new(Bounds::fixed(2)), Script::silent());
        let mut under_way: Vec<Answering> = (0..2).map(|_| layer.call(call())).collect();
        for call in &mut under_way {
            assert!(futures::poll!(call).is_pending());
        }
        assert_eq!(layer.call(call()).await.unwrap_err(), CallError::NotSent("too many calls at once"));
        under_way.pop();
        assert!(futures::poll!(layer.call(call())).is_pending(), "the place of one that was dropped");
    }

    /// A callee of so many workers, each 10 ms at a call, asked by more than it can serve.
    async fn settle(layer: &Bulkhead<Script>, wish: usize, during: Duration) -> u32 {
        let (until, mut calls) = (Instant::now() + during, FuturesUnordered::new());
        while Instant::now() < until {
            while calls.len() < wish {
                calls.push(layer.clone().call(call()));
            }
            let ended = calls.next().await;
            if matches!(ended, Some(Err(CallError::NotSent(_)))) {
                // Who was refused comes back a little later.
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        }
        locked(&layer.gate.limit).now()
    }

    /// The goal: halving what a callee can do moves the limit within five seconds.
    #[tokio::test(start_paused = true)]
    async fn half_the_workers_move_the_limit_within_five_seconds() {
        let workers = Script::workers(40, Duration::from_millis(10));
        let layer = Bulkhead::new("test", Gate::new(BOUNDS), workers.clone());
        let before = settle(&layer, 60, Duration::from_secs(10)).await;
        workers.take_away(30);
        let after = settle(&layer, 60, Duration::from_secs(5)).await;
        println!("limit {before} with 40 workers, {after} five seconds after there were 10");
        assert!(before >= 30 && after <= before / 2, "{before}, then {after}");
    }

    /// So many windows full of the same.
    fn windows(limit: &mut Limit, count: u32, took: Option<Duration>, under_way: u32, now: &mut Instant) {
        for _ in 0..count * WINDOW_ANSWERS_MIN {
            *now += WINDOW / (WINDOW_ANSWERS_MIN - 1) + Duration::from_millis(1);
            limit.record(took, under_way, *now);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_stays_within_its_bounds_and_what_is_lost_halves_it_soon() {
        let (mut limit, mut now) = (Limit::new(BOUNDS), Instant::now());
        let fast = Some(Duration::from_millis(10));
        windows(&mut limit, 300, fast, 200, &mut now);
        assert_eq!(limit.now(), 200);
        windows(&mut limit, 7, None, 200, &mut now);
        assert!(limit.now() < 100, "{limit:?}");
        windows(&mut limit, 100, None, 200, &mut now);
        assert_eq!(limit.now(), 2);
        windows(&mut limit, 100, fast, 0, &mut now);
        assert_eq!(limit.now(), 2, "what is not used says nothing");
        let one = Limit { window: Window::default(), ..Limit::new(BOUNDS) };
        let mut after = one.clone();
        after.record(None, 1, now);
        assert_eq!(after.now(), one.now(), "nor does one");
    }
}
