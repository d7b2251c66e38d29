//! Traces: everybody opens spans of `tracing` under [`banyan_kernel::TRACED`]; here alone are the SDK and the
//! exporter. Nothing of it exists unless the standard variables ask for it, see [`TraceSettings`].

mod export;
mod layer;
mod settings;

use std::{
    sync::{OnceLock, atomic::Ordering, mpsc},
    thread,
    time::Duration,
};

use banyan_kernel::{TraceParent, stable_hash};
use opentelemetry::{
    Context, KeyValue, global,
    trace::{SpanContext, SpanId, SpanKind, TraceContextExt, TraceFlags, TraceId, TraceState},
};
use opentelemetry_sdk::trace::{Sampler, SamplingDecision, ShouldSample};
use tokio_util::sync::CancellationToken;

pub(crate) use layer::{OnlyTraced, TraceLayer};
pub use settings::{TraceSettings, TraceVariable, trace_variables};

use export::COUNTS;

static HEAD: OnceLock<Sampler> = OnceLock::new();

/// Whether this process collects traces at all.
#[must_use]
pub fn collects_traces() -> bool {
    HEAD.get().is_some()
}

/// Whether a new trace is collected, or one that somebody began (`parent`): decided once, at its head, and carried by
/// the [`TraceParent`] from then on. None where nobody collects traces.
#[must_use]
pub fn head(parent: Option<TraceParent>, trace_id: u128) -> Option<bool> {
    HEAD.get().map(|sampler| decide(sampler, parent, trace_id))
}

fn decide(sampler: &Sampler, parent: Option<TraceParent>, trace_id: u128) -> bool {
    let parent = parent.map(|parent| Context::new().with_remote_span_context(context(&parent, true)));
    // A share is drawn from the id's lower half as if it were random: half of a UUID is not, its first bits are fixed.
    let drawn = stable_hash(&trace_id.to_be_bytes());
    let id = TraceId::from_bytes((u128::from(drawn) << 64 | u128::from(drawn)).to_be_bytes());
    let result = sampler.should_sample(parent.as_ref(), id, "", &SpanKind::Server, &[], &[]);
    result.decision == SamplingDecision::RecordAndSample
}

/// Whether a span is told: as its trace's head decided, or would decide again where that was forgotten.
fn is_collected(span: &TraceParent) -> bool {
    span.is_sampled().or_else(|| head(None, span.trace_id())).unwrap_or(true)
}

fn context(span: &TraceParent, is_remote: bool) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(span.trace_id().to_be_bytes()),
        SpanId::from_bytes(span.span_id().to_be_bytes()),
        TraceFlags::default().with_sampled(span.is_sampled().unwrap_or(true)),
        is_remote,
        TraceState::NONE,
    )
}

/// The thread that sends spans: a slow collector takes no time of the shop's own threads.
pub(crate) struct Sending {
    stop: CancellationToken,
    ended: mpsc::Receiver<()>,
}

impl Sending {
    /// Starts to send what the layer hands on.
    pub(crate) fn start(settings: TraceSettings) -> Result<(TraceLayer, Self), String> {
        let stop = CancellationToken::new();
        let (queue, spans) = tokio::sync::mpsc::channel(settings.queue_spans_max);
        let (end, ended) = mpsc::channel();
        let (sampler, stopped) = (settings.sampler.clone(), stop.clone());
        let exporter = export::Exporter::new(settings)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let send = move || {
            runtime.block_on(exporter.run(spans, stopped));
            // Nobody waits where the process ends without asking.
            let _ = end.send(());
        };
        thread::Builder::new().name("traces".to_owned()).spawn(send).map_err(|error| error.to_string())?;
        let _ = HEAD.set(sampler);
        Ok((TraceLayer::new(queue), Self { stop, ended }))
    }

    /// Sends what is left, for at most so long.
    pub(crate) fn stop(self, within: Duration) {
        self.stop.cancel();
        // Elapsed: what was not taken is lost, and the shop stops all the same.
        let _ = self.ended.recv_timeout(within);
    }
}

/// Counts spans by what became of them. For a process that collects none, there is nothing to count.
pub(crate) fn count() {
    if HEAD.get().is_none() {
        return;
    }
    global::meter("banyan")
        .u64_observable_counter("banyan.traces.spans")
        .with_description("Spans by what became of them: sent, dropped (no room), or failed (not taken)")
        .with_callback(|observer| {
            for (outcome, count) in
                [("sent", &COUNTS.sent), ("dropped", &COUNTS.dropped), ("failed", &COUNTS.failed)]
            {
                observer.observe(count.load(Ordering::Relaxed), &[KeyValue::new("outcome", outcome)]);
            }
        })
        .build();
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use banyan_kernel::TRACED;
    use tracing_subscriber::{Layer, layer::SubscriberExt};
    use uuid::Uuid;

    use super::*;
    use crate::testing::Receiver;

    fn sending(endpoint: &str, queue: &str, time_out_ms: &str) -> (TraceLayer, Sending) {
        let said = |name: &str| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(endpoint.to_owned()),
            "OTEL_BSP_MAX_QUEUE_SIZE" => Some(queue.to_owned()),
            "OTEL_EXPORTER_OTLP_TIMEOUT" => Some(time_out_ms.to_owned()),
            _ => None,
        };
        let settings = TraceSettings::read("banyan", said).expect("well").expect("asked for");
        Sending::start(settings).expect("a thread")
    }

    /// Opens and closes so many spans.
    fn tell(layer: TraceLayer, spans: u64) {
        let subscriber = tracing_subscriber::registry().with(layer.with_filter(OnlyTraced));
        tracing::subscriber::with_default(subscriber, || {
            for n in 0..spans {
                let trace = TraceParent::root(Uuid::from_u128(7)).child(&n.to_string());
                tracing::info_span!(target: TRACED, "test", name = "a step", trace = %trace, n);
                tracing::info_span!(target: TRACED, "test", name = "came to nothing", n);
                tracing::info_span!(target: TRACED, "test", name = "unsampled", trace = %trace.unsampled());
                tracing::info_span!("test", trace = %trace);
            }
        });
    }

    /// What was asked about before, and is wanted by nobody, decides nothing about what comes after it.
    #[test]
    fn a_span_that_logs_want_as_well_is_told_whatever_was_asked_about_before() {
        let (queue, mut spans) = tokio::sync::mpsc::channel(8);
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(std::io::sink)
            .with_filter(tracing_subscriber::EnvFilter::new("warn,elsewhere=trace"));
        let subscriber =
            tracing_subscriber::registry().with(lines).with(TraceLayer::new(queue).with_filter(OnlyTraced));
        tracing::subscriber::with_default(subscriber, || {
            for _ in 0..2 {
                // As the `log` crate asks: without having asked once for all before.
                let unwanted = tracing::debug_span!(target: "nobody's", "unwanted");
                let unwanted = unwanted.metadata().expect("it has a place in the code");
                tracing::dispatcher::get_default(|all| all.enabled(unwanted));
                let trace = TraceParent::root(Uuid::from_u128(7));
                tracing::error_span!(target: TRACED, "test", name = "of both", trace = %trace);
            }
        });
        assert_eq!(std::iter::from_fn(|| spans.try_recv().ok()).count(), 2);
    }

    #[test]
    fn what_is_said_again_is_one_attribute() {
        let (queue, mut spans) = tokio::sync::mpsc::channel(8);
        let subscriber = tracing_subscriber::registry().with(TraceLayer::new(queue).with_filter(OnlyTraced));
        tracing::subscriber::with_default(subscriber, || {
            let trace = TraceParent::root(Uuid::from_u128(7));
            let span = tracing::info_span!(target: TRACED, "test", trace = %trace, order = "first", http.route = "/");
            span.record("order", "last");
        });
        let said = spans.try_recv().expect("a span").attributes;
        assert_eq!(said, [KeyValue::new("banyan.order", "last"), KeyValue::new("http.route", "/")]);
    }

    fn counted() -> [u64; 3] {
        [&COUNTS.sent, &COUNTS.dropped, &COUNTS.failed].map(|count| count.load(Ordering::Relaxed))
    }

    #[test]
    fn a_share_of_the_traces_is_a_share_of_those_that_begin_with_orders_and_a_parents_wish_counts() {
        let ratio = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(0.2)));
        let namespace = Uuid::from_u128(7);
        let order = |n: u32| Uuid::new_v5(&namespace, &n.to_be_bytes()).as_u128();
        let collected = (0..5_000).filter(|n| decide(&ratio, None, order(*n))).count();
        assert!((800..1_200).contains(&collected), "{collected} of 5,000 for a fifth");
        for sampled in [true, false] {
            let parent = |n| TraceParent::new(order(n), 1, sampled);
            assert!((0..100).all(|n| decide(&ratio, Some(parent(n)), order(n)) == sampled));
        }
    }

    /// One test, as the counts are of the whole process.
    #[test]
    fn what_is_told_is_sent_at_the_stop_and_a_dead_collector_costs_spans_and_no_time() {
        let receiver = Receiver::start();
        let (layer, first) = sending(&receiver.endpoint, "2048", "20000");
        tell(layer, 100);
        first.stop(Duration::from_secs(20));
        let spans = receiver.spans();
        assert_eq!((spans.len(), counted()), (100, [100, 0, 0]));
        assert!(spans.iter().all(|span| span.name == "a step" && span.parent.is_empty()));
        assert!(spans.iter().any(|span| span.attributes["banyan.n"] == "99"));
        // Takes connections, and never answers.
        let silent = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", silent.local_addr().expect("an address"));
        let (layer, second) = sending(&address, "16", "300");
        let began = Instant::now();
        tell(layer, 10_000);
        second.stop(Duration::from_secs(20));
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
        let [sent, dropped, failed] = counted();
        assert_eq!((sent, dropped + failed), (100, 10_000));
        let (layer, third) = sending(&address, "16", "60000");
        tell(layer, 1);
        let began = Instant::now();
        third.stop(Duration::from_millis(100));
        assert!(began.elapsed() < Duration::from_secs(10), "a stop has a deadline: {:?}", began.elapsed());
        assert!(dropped > 9_000, "a full queue holds nobody up: {dropped} dropped, {failed} failed");
    }
}
