//! A collector of traces that can be looked into: it takes OTLP over HTTP (protobuf) and keeps every span.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use axum::{Router, body::Bytes, extract::State, http::StatusCode, routing::post};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{KeyValue, any_value::Value},
    trace::v1 as proto,
};
use prost::Message;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A larger export than a shop ever sends is refused.
const BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// One span, as it was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// The trace's id in hexadecimal.
    pub trace: String,
    /// Its own.
    pub id: String,
    /// Of the span above it; empty where there is none.
    pub parent: String,
    /// What was done.
    pub name: String,
    /// `server`, `client`, `consumer` or `internal`.
    pub kind: &'static str,
    /// In text.
    pub attributes: BTreeMap<String, String>,
    /// Traces that it was done together with.
    pub links: Vec<String>,
    /// What is wrong with it.
    pub error: Option<String>,
    /// When it began, in nanoseconds since 1970.
    pub began_ns: u64,
    /// When it ended.
    pub ended_ns: u64,
    /// Of whom.
    pub resource: BTreeMap<String, String>,
}

/// Takes what it is sent, on a thread and a port of its own, until it is dropped.
pub struct Receiver {
    /// What `OTEL_EXPORTER_OTLP_ENDPOINT` is to be.
    pub endpoint: String,
    kept: Kept,
    _stop: DropGuard,
}

/// What was received: the spans, unless they are only counted.
#[derive(Clone, Default)]
struct Kept {
    spans: Option<Arc<Mutex<Vec<Span>>>>,
    count: Arc<AtomicUsize>,
}

impl Receiver {
    /// Begins to listen.
    ///
    /// # Panics
    /// Without a port or a thread.
    #[must_use]
    pub fn start() -> Self {
        Self::of(Kept { spans: Some(Arc::default()), count: Arc::default() })
    }

    /// Begins to listen, and counts what comes without keeping it.
    ///
    /// # Panics
    /// Without a port or a thread.
    #[must_use]
    pub fn counting() -> Self {
        Self::of(Kept::default())
    }

    fn of(taken: Kept) -> Self {
        let stop = CancellationToken::new();
        let (tell, told) = mpsc::channel();
        let (kept, stopped) = (taken.clone(), stop.clone());
        let serve = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
                tell.send(listener.local_addr().expect("an address")).expect("who started it waits");
                let limit = axum::extract::DefaultBodyLimit::max(BODY_BYTES_MAX);
                let router = Router::new().route("/v1/traces", post(take)).layer(limit).with_state(kept);
                let served = axum::serve(listener, router).into_future();
                stopped.run_until_cancelled(served).await
            })
        };
        thread::Builder::new().name("collector".to_owned()).spawn(serve).expect("a thread");
        let address = told.recv().expect("an address");
        Self { endpoint: format!("http://{address}"), kept: taken, _stop: stop.drop_guard() }
    }

    /// All that were received so far.
    #[must_use]
    pub fn spans(&self) -> Vec<Span> {
        self.kept.those(|_| true)
    }

    /// How many were received so far.
    #[must_use]
    pub fn count(&self) -> usize {
        self.kept.count.load(Ordering::Relaxed)
    }

    /// Those of one trace.
    #[must_use]
    pub fn tree(&self, trace: &str) -> Tree {
        Tree(self.kept.those(|span| span.trace == trace))
    }
}

impl Kept {
    fn those(&self, which: impl Fn(&Span) -> bool) -> Vec<Span> {
        let Some(spans) = &self.spans else { return Vec::new() };
        let spans = spans.lock().unwrap_or_else(PoisonError::into_inner);
        spans.iter().filter(|span| which(span)).cloned().collect()
    }
}

async fn take(State(kept): State<Kept>, body: Bytes) -> StatusCode {
    let Ok(request) = ExportTraceServiceRequest::decode(body) else { return StatusCode::BAD_REQUEST };
    for of_one in request.resource_spans {
        let resource = texts(of_one.resource.map(|it| it.attributes).unwrap_or_default());
        for span in of_one.scope_spans.into_iter().flat_map(|scope| scope.spans) {
            kept.count.fetch_add(1, Ordering::Relaxed);
            if let Some(spans) = &kept.spans {
                spans.lock().unwrap_or_else(PoisonError::into_inner).push(read(span, &resource));
            }
        }
    }
    StatusCode::OK
}

fn read(span: proto::Span, resource: &BTreeMap<String, String>) -> Span {
    let status = span.status.unwrap_or_default();
    let is_error = status.code == proto::status::StatusCode::Error as i32;
    let kind = match proto::span::SpanKind::try_from(span.kind) {
        Ok(proto::span::SpanKind::Server) => "server",
        Ok(proto::span::SpanKind::Client) => "client",
        Ok(proto::span::SpanKind::Consumer) => "consumer",
        _ => "internal",
    };
    Span {
        trace: hexadecimal(&span.trace_id),
        id: hexadecimal(&span.span_id),
        parent: hexadecimal(&span.parent_span_id),
        name: span.name,
        kind,
        attributes: texts(span.attributes),
        links: span.links.iter().map(|link| hexadecimal(&link.trace_id)).collect(),
        error: is_error.then_some(status.message),
        began_ns: span.start_time_unix_nano,
        ended_ns: span.end_time_unix_nano,
        resource: resource.clone(),
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // A string takes all there is.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<Value>| match value {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        other => format!("{other:?}"),
    };
    attributes.into_iter().map(|it| (it.key, text(it.value.and_then(|value| value.value)))).collect()
}

/// The spans of one trace.
#[derive(Clone, Debug)]
pub struct Tree(pub Vec<Span>);

impl Tree {
    /// Those that hang below nothing: one, in a whole tree.
    #[must_use]
    pub fn roots(&self) -> Vec<&Span> {
        self.0.iter().filter(|span| span.parent.is_empty()).collect()
    }

    /// Those that hang below what was not received.
    #[must_use]
    pub fn orphans(&self) -> Vec<&Span> {
        let ids: BTreeSet<&str> = self.0.iter().map(|span| span.id.as_str()).collect();
        let is_orphan = |span: &&Span| !span.parent.is_empty() && !ids.contains(span.parent.as_str());
        self.0.iter().filter(is_orphan).collect()
    }

    /// Whether it is one tree: one root, every other span below one that was received, and no id twice.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let ids: BTreeSet<&str> = self.0.iter().map(|span| span.id.as_str()).collect();
        self.roots().len() == 1 && self.orphans().is_empty() && ids.len() == self.0.len()
    }

    /// What the spans say under this name, each once.
    #[must_use]
    pub fn values(&self, attribute: &str) -> BTreeSet<&str> {
        self.0.iter().filter_map(|span| span.attributes.get(attribute)).map(String::as_str).collect()
    }

    /// The spans' names.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|span| span.name.as_str()).collect()
    }

    /// One line a span, each below and further in than what it was done for: when it began, in milliseconds since the
    /// first, how long it took, and its name.
    #[must_use]
    pub fn text(&self) -> String {
        let first = self.0.iter().map(|span| span.began_ns).min().unwrap_or_default();
        let mut text = String::new();
        let above: Vec<&Span> = self.roots().into_iter().chain(self.orphans()).collect();
        for span in in_turn(above) {
            self.write(&mut text, span, first, 0);
        }
        text
    }

    fn write(&self, text: &mut String, span: &Span, first: u64, depth: usize) {
        let millis = |nanos: u64| nanos as f64 / 1e6;
        let (at, took) = (span.began_ns.saturating_sub(first), span.ended_ns.saturating_sub(span.began_ns));
        let (indent, kind) = ("  ".repeat(depth), span.kind);
        let wrong = span.error.as_ref().map_or(String::new(), |error| format!("  ({error})"));
        let (at, took, name) = (millis(at), millis(took), &span.name);
        // A string takes all there is.
        let _ = writeln!(text, "{at:>8.1} ms {took:>7.1} ms  {kind:<8}  {indent}{name}{wrong}");
        let below = self.0.iter().filter(|other| other.parent == span.id && other.id != span.id).collect();
        for below in in_turn(below) {
            self.write(text, below, first, depth + 1);
        }
    }
}

fn in_turn(mut spans: Vec<&Span>) -> Vec<&Span> {
    spans.sort_by_key(|span| span.began_ns);
    spans
}
