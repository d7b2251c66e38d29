//! What orders count: answers of the saga's participants, ends, and what was earned.

use std::sync::LazyLock;

use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram},
};

use crate::{event::OrderEvent, log::Recorded, order::Order, saga::Step};

fn counter(name: &'static str, what: &'static str) -> Counter<u64> {
    global::meter("banyan").u64_counter(name).with_description(what).build()
}

static ANSWERS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    counter("banyan.saga.answers", "What participants said, per order, by step and whether it is undone")
});
static ENDED: LazyLock<Counter<u64>> =
    LazyLock::new(|| counter("banyan.orders.ended", "Orders that ended, by how and why"));
static REVENUE: LazyLock<Counter<u64>> =
    LazyLock::new(|| counter("banyan.orders.revenue", "What shipped orders brought in, in minor units"));
static PLACED: LazyLock<Counter<u64>> =
    LazyLock::new(|| counter("banyan.orders.placed", "Orders that were accepted, repeats not counted"));

static AGE: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    global::meter("banyan")
        .f64_histogram("banyan.saga.age")
        .with_description("How old orders are when a step of them is done")
        .with_unit("s")
        .with_boundaries(vec![0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3_600.0])
        .build()
});

pub(crate) fn answered(step: Step, undo: bool, outcome: &'static str) {
    let labels =
        [KeyValue::new("step", step.name()), KeyValue::new("undo", undo), KeyValue::new("outcome", outcome)];
    ANSWERS.add(1, &labels);
}

pub(crate) fn placed(orders: usize) {
    PLACED.add(orders as u64, &[]);
}

/// Of an order whose events are kept.
pub(crate) fn kept(order: &Order, events: &[Recorded]) {
    for event in events {
        if let OrderEvent::StepDone { step, .. } = &event.event {
            let age = event.at - order.placed_at;
            AGE.record(age.as_seconds_f64(), &[KeyValue::new("step", step.name())]);
        }
        let (end, cause) = match &event.event {
            OrderEvent::OrderShipped { .. } => ("shipped", ""),
            OrderEvent::OrderCancelled { cause } => ("cancelled", cause.as_str()),
            _ => continue,
        };
        ENDED.add(1, &[KeyValue::new("end", end), KeyValue::new("cause", cause.to_owned())]);
        if end == "shipped" {
            let total = &order.created.total;
            let currency = KeyValue::new("currency", total.currency.as_str().to_owned());
            REVENUE.add(u64::try_from(total.minor).unwrap_or(0), &[currency]);
        }
    }
}
