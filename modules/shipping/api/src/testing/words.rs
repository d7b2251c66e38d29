//! Short words for tests. They panic on what no test should say.

use banyan_kernel::{Command, CommandId, Context, CustomerId, Line, OrderId, Place, Quantity, TraceParent};

use crate::{BookShipment, CancelShipment, WantedParcel};

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
#[must_use]
pub fn book(order: OrderId, attempt: u32) -> Command<BookShipment> {
    book_from(order, attempt, &[Place::MAIN])
}

/// Books parcels of three pieces each at these places.
///
/// # Panics
/// When one is none.
#[must_use]
pub fn book_from(order: OrderId, attempt: u32, places: &[&str]) -> Command<BookShipment> {
    let quantity = Quantity::try_from(3).expect("a quantity");
    let line = |place: &&str| Line { sku: format!("A-{place}").parse().expect("a SKU"), quantity };
    let parcel = |place: &&str| WantedParcel {
        place: place.parse().expect("a test names valid places"),
        lines: vec![line(place)],
    };
    let parcels = places.iter().map(parcel).collect();
    let body = BookShipment { customer: CustomerId(order.0), parcels, orders_sequence: 1 };
    Command { id: CommandId::new(order, "book", attempt), context: context(order), body }
}

/// Undoes a booking.
#[must_use]
pub fn cancel(order: OrderId, attempt: u32) -> Command<CancelShipment> {
    let body = CancelShipment { reason: "changed_mind".to_owned() };
    Command { id: CommandId::new(order, "book", attempt), context: context(order), body }
}
