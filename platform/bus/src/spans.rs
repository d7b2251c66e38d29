//! What a trace shows of the bus: each delivery that came to something, below what its event was told in.

use banyan_kernel::{Envelope, TRACED, TraceParent};
use tracing::{Span, field::Empty};

use crate::{Batch, Outcome};

/// A batch on its way into a consumer's database.
pub(crate) struct Deliveries {
    spans: Vec<Span>,
    /// Several share a commit: a trace of its own, which each delivery links.
    shared: Option<(TraceParent, Span)>,
}

impl Deliveries {
    /// Of nothing, where nobody collects.
    pub(crate) fn begin(group: &str, batch: &Batch) -> Self {
        if !tracing::span_enabled!(target: TRACED, tracing::Level::INFO) {
            return Self { spans: Vec::new(), shared: None };
        }
        let spans = batch.events.iter().map(|(_, event)| delivery(group, event)).collect();
        Self { spans, shared: shared(group, batch) }
    }

    /// The effects are committed. What had been applied before, or means nothing to the group, is not told again.
    pub(crate) fn done(self, group: &str, batch: &Batch, outcomes: &[Outcome]) {
        let done = |outcome: &Outcome| *outcome == Outcome::Done;
        let shared = self.shared.filter(|_| outcomes.iter().filter(|outcome| done(outcome)).count() > 1);
        for ((span, (_, event)), outcome) in self.spans.iter().zip(&batch.events).zip(outcomes) {
            if done(outcome) {
                span.record("trace", tracing::field::display(own(group, event, "")));
                if let Some((trace, _)) = &shared {
                    span.record("link", tracing::field::display(trace));
                }
            }
        }
        if let Some((trace, span)) = shared {
            span.record("trace", tracing::field::display(trace));
        }
    }
}

/// A try that came to nothing.
pub(crate) fn failed(group: &str, event: &Envelope, word: &'static str, attempts: u32) {
    let span = delivery(group, event);
    span.record("error", word);
    span.record("trace", tracing::field::display(own(group, event, &format!("{word} {attempts}"))));
}

fn delivery(group: &str, event: &Envelope) -> Span {
    tracing::info_span!(
        target: TRACED, "deliver", name = format!("{group} hears {}", event.kind), kind = "consumer",
        parent = %event.traceparent, module = module(group), group, event = event.kind, subject = event.subject,
        trace = Empty, link = Empty, error = Empty,
    )
}

/// The same for the same event, however often it comes.
fn own(group: &str, event: &Envelope, what: &str) -> TraceParent {
    event.traceparent.child(&format!("{group} {} {what}", event.id))
}

fn shared(group: &str, batch: &Batch) -> Option<(TraceParent, Span)> {
    let [(_, first), .., (_, last)] = &batch.events[..] else { return None };
    let trace = first.traceparent.apart(&format!("{group} {} {}", first.id, last.id));
    let span = tracing::info_span!(
        target: TRACED, "shared", name = format!("{group} batch"), module = module(group), group,
        events = batch.events.len(), trace = Empty,
    );
    Some((trace, span))
}

/// A group is called `MODULE.SOURCE`.
fn module(group: &str) -> &str {
    group.split('.').next().unwrap_or(group)
}
