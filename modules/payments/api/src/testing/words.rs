//! Short words for tests. They panic on what no test should say.

use banyan_kernel::{Actor, Command, CommandId, Context, Money, OrderId, Role, TraceParent};

use crate::{AuthorisePayment, CapturePayment, GiveBack, RefundPayment, VoidPayment};

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

fn command<T>(order: OrderId, step: &str, attempt: u32, body: T) -> Command<T> {
    Command { id: CommandId::new(order, step, attempt), context: context(order), body }
}

/// Holds 12.99 USD on the card of this name.
///
/// # Panics
/// Never: the currency is a constant.
#[must_use]
pub fn authorise(order: OrderId, attempt: u32, method: &str) -> Command<AuthorisePayment> {
    let amount = Money { minor: 1_299, currency: "USD".parse().expect("a currency") };
    command(order, "authorise", attempt, AuthorisePayment { amount, method: method.to_owned() })
}

/// Takes it.
#[must_use]
pub fn capture(order: OrderId, attempt: u32) -> Command<CapturePayment> {
    command(order, "capture", attempt, CapturePayment {})
}

/// Undoes an authorisation.
#[must_use]
pub fn void(order: OrderId, attempt: u32) -> Command<VoidPayment> {
    command(order, "authorise", attempt, VoidPayment { reason: "changed_mind".to_owned() })
}

/// Undoes a capture.
#[must_use]
pub fn refund(order: OrderId, attempt: u32) -> Command<RefundPayment> {
    command(order, "capture", attempt, RefundPayment { reason: "changed_mind".to_owned() })
}

/// Has staff give money back under a key; all that is left where no amount is said.
#[must_use]
pub fn give_back(order: OrderId, key: &str, amount_minor: Option<i64>) -> Command<GiveBack> {
    let reason = "broken".to_owned();
    let body = GiveBack { key: key.to_owned(), amount_minor, lines: Vec::new(), reason };
    let actor = Actor { role: Role::Staff, id: "bob".to_owned() };
    Command { context: Context { actor, ..context(order) }, ..command(order, "give_back", 0, body) }
}
