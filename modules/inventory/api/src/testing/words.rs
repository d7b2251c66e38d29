//! Short words for tests. They panic on what no test should say.

use std::time::Duration;

use banyan_kernel::{Command, CommandId, Context, Line, OrderId, Quantity, Sku, Timestamp, TraceParent};

use crate::{ConfirmReservation, ReceiveStock, ReleaseStock, ReserveStock};

/// A SKU of this text.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn sku(text: &str) -> Sku {
    text.parse().expect("a test names valid SKUs")
}

/// Lines of these SKUs and quantities.
///
/// # Panics
/// When one is invalid.
#[must_use]
pub fn lines(of: &[(&str, i64)]) -> Vec<Line> {
    let quantity = |n: i64| Quantity::try_from(n).expect("a test names valid quantities");
    of.iter().map(|(text, n)| Line { sku: sku(text), quantity: quantity(*n) }).collect()
}

/// The order called `name`: the same name, the same order.
#[must_use]
pub fn order(name: &str) -> OrderId {
    OrderId::derive("test", name)
}

/// The saga, acting for an order.
///
/// # Panics
/// Never: the trace is a constant.
#[must_use]
pub fn context() -> Context {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse::<TraceParent>();
    Context::system("saga", trace.expect("a trace"))
}

fn command<T>(order: OrderId, step: &str, attempt: u32, body: T) -> Command<T> {
    Command { id: CommandId::new(order, step, attempt), context: context(), body }
}

/// Reserves for a minute after `now`.
#[must_use]
pub fn reserve(order: OrderId, attempt: u32, of: &[(&str, i64)], now: Timestamp) -> Command<ReserveStock> {
    let expires_at = now + Duration::from_secs(60);
    command(order, "reserve", attempt, ReserveStock { lines: lines(of), expires_at, orders_sequence: 1 })
}

/// Confirms.
#[must_use]
pub fn confirm(order: OrderId) -> Command<ConfirmReservation> {
    command(order, "confirm", 1, ConfirmReservation {})
}

/// Undoes an attempt to reserve.
#[must_use]
pub fn release(order: OrderId, attempt: u32) -> Command<ReleaseStock> {
    command(order, "reserve", attempt, ReleaseStock { reason: "changed_mind".into() })
}

/// A delivery.
#[must_use]
pub fn receipt(key: &str, of: &[(&str, i64)]) -> ReceiveStock {
    ReceiveStock { key: key.into(), lines: lines(of), place: None }
}

/// A delivery that was put at a place.
///
/// # Panics
/// When that is none.
#[must_use]
pub fn receipt_at(key: &str, place: &str, of: &[(&str, i64)]) -> ReceiveStock {
    let place = place.parse().expect("a test names valid places");
    ReceiveStock { place: Some(place), ..receipt(key, of) }
}
