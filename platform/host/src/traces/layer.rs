//! Turns spans of `tracing` that say where they stand into spans of OpenTelemetry.
//!
//! Their ids are not drawn here: they are what rows, events and calls already carry, so that what is done after a
//! crash, by another process even, hangs below what caused it.

use std::{
    fmt,
    sync::atomic::Ordering,
    time::{Instant, SystemTime},
};

use banyan_kernel::{Clock, SystemClock, TRACED, TraceParent};
use opentelemetry::{
    InstrumentationScope, KeyValue, Value,
    trace::{Link, SpanId, SpanKind, Status},
};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};
use tokio::sync::mpsc::Sender;
use tracing::{
    Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};
use tracing_subscriber::{
    Layer,
    layer::{Context, Filter},
    registry::LookupSpan,
};

use super::{context, export::COUNTS, is_collected};

/// Hands spans that have ended to the queue; what finds no room is dropped and counted.
pub(crate) struct TraceLayer {
    queue: Sender<SpanData>,
    scope: InstrumentationScope,
}

/// Lets through what is told, and nothing else.
pub(crate) struct OnlyTraced;

impl<S> Filter<S> for OnlyTraced {
    fn enabled(&self, metadata: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        metadata.target() == TRACED && metadata.is_span()
    }

    /// Never "always": what all filters always want is not asked for again, and then what they said of the last thing
    /// that somebody asked about (`enabled!`, the `log` crate) counts for it, see JOURNAL.md.
    fn callsite_enabled(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.target() == TRACED && metadata.is_span() {
            Interest::sometimes()
        } else {
            Interest::never()
        }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }
}

impl TraceLayer {
    pub(super) fn new(queue: Sender<SpanData>) -> Self {
        let scope = InstrumentationScope::builder("banyan").with_version(env!("CARGO_PKG_VERSION")).build();
        Self { queue, scope }
    }
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for TraceLayer {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut begun = Begun::now();
        attributes.record(&mut begun.said);
        span.extensions_mut().insert(begun);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        if let Some(begun) = span.extensions_mut().get_mut::<Begun>() {
            values.record(&mut begun.said);
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let Some(span) = context.span(&id) else { return };
        let begun = span.extensions_mut().remove::<Begun>();
        let Some(ended) = begun.and_then(|begun| begun.end(&self.scope)) else { return };
        if self.queue.try_send(ended).is_err() {
            COUNTS.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// A span that has not ended.
struct Begun {
    at: SystemTime,
    since: Instant,
    said: Said,
}

/// What a span's fields say, see [`TRACED`].
#[derive(Default)]
struct Said {
    name: String,
    own: Option<TraceParent>,
    parent: Option<TraceParent>,
    link: Option<TraceParent>,
    kind: Option<SpanKind>,
    error: Option<String>,
    attributes: Vec<KeyValue>,
}

impl Begun {
    fn now() -> Self {
        Self { at: SystemClock.now().into(), since: Instant::now(), said: Said::default() }
    }

    /// As it is told; nothing, where it is not collected.
    fn end(self, scope: &InstrumentationScope) -> Option<SpanData> {
        let Said { name, own, parent, link, kind, error, attributes } = self.said;
        let own = own.filter(is_collected)?;
        let parent = parent.filter(|parent| !parent.is_root());
        let parent_span_id =
            parent.map_or(SpanId::INVALID, |it| SpanId::from_bytes(it.span_id().to_be_bytes()));
        let mut links = SpanLinks::default();
        links.links.extend(link.map(|link| Link::with_context(context(&link, false))));
        Some(SpanData {
            span_context: context(&own, false),
            parent_span_id,
            parent_span_is_remote: matches!(kind, Some(SpanKind::Server | SpanKind::Consumer)),
            span_kind: kind.unwrap_or(SpanKind::Internal),
            name: name.into(),
            start_time: self.at,
            end_time: self.at + self.since.elapsed(),
            attributes,
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links,
            status: error.map_or(Status::Unset, Status::error),
            instrumentation_scope: scope.clone(),
        })
    }
}

impl Said {
    fn hear(&mut self, field: &Field, text: &str) {
        match field.name() {
            "name" => text.clone_into(&mut self.name),
            "trace" => self.own = text.parse().ok(),
            "parent" => self.parent = text.parse().ok(),
            "link" => self.link = text.parse().ok(),
            "error" => self.error = Some(text.to_owned()),
            "kind" => self.kind = kind(text),
            // It is the trace's id, for log lines.
            "correlation" => {}
            _ => self.attribute(field, text.to_owned().into()),
        }
    }

    /// Our own words get our own name before them.
    fn attribute(&mut self, field: &Field, value: Value) {
        let name = field.name();
        let key = if name.contains('.') { name.to_owned() } else { format!("banyan.{name}") };
        // Said again, it is said anew: a key stands in a span once.
        match self.attributes.iter_mut().find(|known| known.key.as_str() == key) {
            Some(known) => known.value = value,
            None => self.attributes.push(KeyValue::new(key, value)),
        }
    }
}

fn kind(text: &str) -> Option<SpanKind> {
    match text {
        "server" => Some(SpanKind::Server),
        "client" => Some(SpanKind::Client),
        "consumer" => Some(SpanKind::Consumer),
        _ => None,
    }
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.hear(field, &format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.hear(field, value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.attribute(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.attribute(field, i64::try_from(value).unwrap_or(i64::MAX).into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.attribute(field, value.into());
    }
}
