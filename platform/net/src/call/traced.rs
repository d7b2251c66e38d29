//! Outermost: a call's span, its log line, and what is measured of it.

use std::{
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use banyan_kernel::{TRACED, TraceParent};
use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram},
};
use tokio::time::Instant;
use tower::{Service, ServiceExt};
use tracing::{Instrument, field::Empty};

use super::{Answering, Answers, Call, CallError, Counted, Reply, counted, outcome};

static CALLS: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    global::meter("banyan")
        .f64_histogram("banyan.call.duration")
        .with_description("Calls to other processes, by callee, step and outcome")
        .with_unit("s")
        .with_boundaries(crate::SECONDS.to_vec())
        .build()
});
static ITEMS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    global::meter("banyan")
        .u64_counter("banyan.call.items")
        .with_description("What calls asked about, by callee and whether somebody could say")
        .build()
});

#[derive(Clone)]
pub(super) struct Traced<S> {
    name: &'static str,
    inner: S,
    /// Counts calls, so that each has a span of its own.
    calls: Arc<AtomicU64>,
}

impl<S> Traced<S> {
    pub(super) fn new(name: &'static str, inner: S) -> Self {
        Self { name, inner, calls: Arc::default() }
    }

    /// The call's own span in its trace.
    fn span(&self, call: &Call) -> (TraceParent, tracing::Span) {
        let nth = self.calls.fetch_add(1, Ordering::Relaxed);
        let (name, step, delivery) = (self.name, &call.step, call.delivery);
        let trace = call.trace.child(&format!("{name} {step} {delivery} {nth}"));
        let span = tracing::info_span!(
            target: TRACED, "call", name = format!("{name} {step}"), kind = "client",
            trace = %trace, parent = %call.trace, callee = name, step = %step, delivery, items = call.items,
            http.request.method = call.method.as_str(), http.response.status_code = Empty, outcome = Empty,
            error = Empty,
        );
        (trace, span)
    }
}

impl<S: Answers> Service<Call> for Traced<S> {
    type Response = Reply;
    type Error = CallError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut call: Call) -> Answering {
        let (name, inner) = (self.name, self.inner.clone());
        let (trace, span) = self.span(&call);
        call.trace = trace;
        let told = span.clone();
        let traced = async move {
            let (began, about) = (Instant::now(), About::of(name, &call));
            let result = inner.oneshot(call).await;
            about.measure(&result, began);
            about.log(&result);
            span.record("outcome", outcome(&result));
            match &result {
                Ok(reply) => span.record("http.response.status_code", reply.status),
                Err(_) => span.record("error", outcome(&result)),
            };
            result
        };
        Box::pin(traced.instrument(told))
    }
}

/// What is said of a call when it is over.
struct About {
    callee: &'static str,
    step: String,
    correlation: String,
    key: Option<String>,
    delivery: i32,
    items: u32,
    unanswered: fn(&Reply) -> u32,
}

impl About {
    fn of(callee: &'static str, call: &Call) -> Self {
        Self {
            callee,
            step: call.step.to_string(),
            correlation: call.trace.correlation(),
            key: call.key.clone(),
            delivery: call.delivery,
            items: call.items,
            unanswered: call.unanswered,
        }
    }

    fn measure(&self, result: &Result<Reply, CallError>, began: Instant) {
        let callee = KeyValue::new("callee", self.callee);
        let step = KeyValue::new("step", self.step.clone());
        let labels = [callee.clone(), step, KeyValue::new("outcome", outcome(result))];
        CALLS.record(began.elapsed().as_secs_f64(), &labels);
        let Counted { answered, unanswered } = counted(self.items, self.unanswered, result);
        for (how, items) in [("answered", answered), ("unanswered", unanswered)] {
            if items > 0 {
                ITEMS.add(items.into(), &[callee.clone(), KeyValue::new("outcome", how)]);
            }
        }
    }

    fn log(&self, result: &Result<Reply, CallError>) {
        let Self { callee, step, correlation, key, delivery, .. } = self;
        match result {
            Ok(reply) => {
                tracing::debug!(callee, correlation, step, ?key, status = reply.status, "answered");
            }
            Err(error @ (CallError::Garbage(_) | CallError::Forbidden(_))) => {
                tracing::warn!(callee, correlation, step, ?key, delivery, %error, "no outcome");
            }
            // One call without an answer is everyday; the breaker says aloud when they are many.
            Err(error) => {
                tracing::info!(callee, correlation, step, ?key, delivery, %error, "no outcome");
            }
        }
    }
}
