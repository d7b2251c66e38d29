//! Short words for tests. They panic on what no test should say.

use banyan_kernel::{Command, CommandId, Context, CustomerId, Line, OrderId, Quantity, TraceParent};

use crate::{BookShipment, CancelShipment};

/// The order called `name`: the same name, the same order.
#[must_use]
pub fn order(name: &str) -> OrderId {
    OrderId::derive("test", name)
}

/// The saga, acting for an order.
#[must_use]
pub fn context(order: OrderId) -> Context {
    Context::system("saga", TraceParent::root(order.0))
}

/// Books a parcel of three pieces, of whose order one event was told.
///
/// # Panics
/// Never: what is in it is a constant.
#[must_use]
pub fn book(order: OrderId, attempt: u32) -> Command<BookShipment> {
    let quantity = Quantity::try_from(3).expect("a quantity");
    let lines = vec![Line { sku: "A".parse().expect("a SKU"), quantity }];
    let body = BookShipment { customer: CustomerId(order.0), lines, orders_sequence: 1 };
    Command { id: CommandId::new(order, "book", attempt), context: context(order), body }
}

/// Undoes a booking.
#[must_use]
pub fn cancel(order: OrderId, attempt: u32) -> Command<CancelShipment> {
    let body = CancelShipment { reason: "changed_mind".to_owned() };
    Command { id: CommandId::new(order, "book", attempt), context: context(order), body }
}
