//! Short words for tests. They panic on what no test should say.

use banyan_kernel::{Actor, Context, CustomerId, Line, OrderId, Quantity, Role, Sku, TraceParent};

use crate::PlaceOrder;

/// What one piece of each product of the suite costs, in cents.
pub const PRICE_MINOR: i64 = 250;

/// A SKU of this text.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn sku(text: &str) -> Sku {
    text.parse().expect("a test names valid SKUs")
}

/// The order called `name`: the same name, the same order.
#[must_use]
pub fn order(name: &str) -> OrderId {
    OrderId::derive("test", name)
}

/// The customer called `name`.
#[must_use]
pub fn customer(name: &str) -> CustomerId {
    CustomerId(OrderId::derive("customer", name).0)
}

/// A member of staff, about an order.
#[must_use]
pub fn context(order: OrderId) -> Context {
    let actor = Actor { role: Role::Staff, id: "tester".to_owned() };
    Context { actor, trace: TraceParent::root(order.0) }
}

/// A customer's wish for so many of each of these.
///
/// # Panics
/// When one is invalid.
#[must_use]
pub fn wish(name: &str, of: &str, lines: &[(&str, i64)]) -> PlaceOrder {
    let quantity = |n: i64| Quantity::try_from(n).expect("a test names valid quantities");
    let line = |(text, n): &(&str, i64)| Line { sku: sku(text), quantity: quantity(*n) };
    PlaceOrder {
        order: order(name),
        customer: customer(of),
        lines: lines.iter().map(line).collect(),
        payment_method: "pm_card_visa".to_owned(),
        request_hash: format!("the body of {name}"),
        context: context(order(name)),
    }
}
