//! What a trace shows of an order: where it was placed, and each step as often as it was asked for.

use banyan_kernel::{CommandId, TRACED, TraceParent};
use tracing::{Span, field::Empty};

use crate::{order::Order, saga::Step};

/// What is done for several orders at once: a trace of its own, which each of theirs links.
pub(crate) struct Shared {
    trace: TraceParent,
    span: Span,
}

impl Shared {
    /// Nothing, for an order alone, and where nobody collects.
    pub(crate) fn begin(name: &'static str, first: &TraceParent, orders: usize, seed: &str) -> Option<Self> {
        if orders < 2 || !tracing::span_enabled!(target: TRACED, tracing::Level::INFO) {
            return None;
        }
        let trace = first.apart(&format!("{name} {orders} {seed}"));
        let span = tracing::info_span!(
            target: TRACED, "shared", name, orders, module = orders_api::NAME, trace = Empty,
        );
        Some(Self { trace, span })
    }

    /// It came to something.
    pub(crate) fn told(&self) {
        self.span.record("trace", tracing::field::display(self.trace));
    }

    fn link(shared: Option<&Self>, span: &Span) {
        if let Some(shared) = shared {
            span.record("link", tracing::field::display(shared.trace));
        }
    }
}

/// The order's own span, below the request that placed it: from its decision to its commit. Told by [`placed`].
pub(crate) fn place(order: &Order) -> Span {
    tracing::info_span!(
        target: TRACED, "place", name = "place order", order = %order.id, module = orders_api::NAME,
        lines = order.created.lines.len(), trace = Empty, parent = Empty, link = Empty,
    )
}

/// These are committed.
pub(crate) fn placed<'a>(
    spans: impl Iterator<Item = (&'a Span, &'a Order, TraceParent)>,
    shared: Option<&Shared>,
) {
    for (span, order, request) in spans {
        span.record("trace", tracing::field::display(order.trace));
        span.record("parent", tracing::field::display(request));
        Shared::link(shared, span);
    }
    shared.inspect(|shared| shared.told());
}

/// The span of a step as it is asked for the time after `asked`: its commands carry it.
pub(crate) fn of_step(order: &Order, step: Step, undo: bool, asked: u32) -> TraceParent {
    let id = CommandId::new(order.id, step.name(), order.attempt(step));
    order.trace.child(&format!("{}{id} {asked}", if undo { "undo " } else { "" }))
}

/// Begins to ask; what is heard is told by [`heard`].
pub(crate) fn ask(order: &Order, (step, undo): (Step, bool), asked: u32, shared: Option<&Shared>) -> Span {
    let span = tracing::info_span!(
        target: TRACED, "step", name = format!("{}{}", if undo { "undo " } else { "" }, step.name()),
        order = %order.id, module = step.module(), step = step.name(), undo, attempt = order.attempt(step), asked,
        trace = %of_step(order, step, undo, asked), parent = %order.trace, link = Empty, outcome = Empty,
        error = Empty,
    );
    Shared::link(shared, &span);
    span
}

/// What a module said.
pub(crate) fn heard(span: &Span, outcome: &'static str) {
    span.record("outcome", outcome);
    if outcome == "broken" {
        span.record("error", outcome);
    }
}
