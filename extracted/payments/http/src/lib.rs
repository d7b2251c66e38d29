//! Payments' contract by HTTP, over its traits alone: the operations as a service offers them, and a client that is payments to
//! whoever asks it.

mod ask;
mod questions;
mod routed;

use std::sync::Arc;

use banyan_net::port::Port;
use payments_api::{GatewayEvents, NAME, PaymentFacts, Payments, Refunds};

pub use ask::HttpPayments;
use questions::{Event, Facts, Nothing, OfOrder};
pub use routed::RoutedPayments;

/// Whatever implements the contract.
#[derive(Clone)]
pub struct Served {
    /// What others ask.
    pub payments: Arc<dyn Payments>,
    /// What staff ask.
    pub refunds: Arc<dyn Refunds>,
    /// What the gateway tells.
    pub events: Arc<dyn GatewayEvents>,
    /// What the audit asks.
    pub facts: Arc<dyn PaymentFacts>,
}

impl Served {
    /// By one that does all of it.
    pub fn by(all: Arc<impl Payments + Refunds + GatewayEvents + PaymentFacts + 'static>) -> Self {
        Self { payments: all.clone(), refunds: all.clone(), events: all.clone(), facts: all }
    }
}

/// The operations.
#[must_use]
pub fn port() -> Port<Served> {
    Port::new(NAME, "Hold money, take it, give it back.")
        .batch(
            "authorise",
            "Holds money. Refusals: the gateway's decline codes, cancelled.",
            |served: Served, batch| async move { served.payments.authorise(batch).await },
        )
        .batch(
            "capture",
            "Takes held money. Refusals: the gateway's decline codes, not_authorised, cancelled.",
            |served: Served, batch| async move { served.payments.capture(batch).await },
        )
        .batch("void", "Lets held money go.", |served: Served, batch| async move {
            served.payments.void(batch).await
        })
        .batch("refund", "Gives taken money back, all of it.", |served: Served, batch| async move {
            served.payments.refund(batch).await
        })
        .batch(
            "give-back",
            "Gives money back in parts. Refusals: not_captured, more_than_taken, more_than_ordered, key_reused, the gateway's codes.",
            |served: Served, batch| async move { served.refunds.give_back(batch).await },
        )
        .question(
            "disputes",
            "What of an order's payment is disputed.",
            |served: Served, OfOrder { order }| async move { served.refunds.disputes(order).await },
        )
        .question("refunds", "What was given back of an order.", |served: Served, OfOrder { order }| async move {
            served.refunds.refunds(order).await
        })
        .question(
            "hear",
            "Hears an event that the gateway sent: a hint, which is looked up. Refusal: invalid_event.",
            |served: Served, Event { event }| async move { served.events.hear(event).await },
        )
        .question(
            "look-at-all",
            "After a restore: has every payment that was taken looked up at the gateway. How many.",
            |served: Served, Nothing {}| async move { served.events.look_at_all().await },
        )
        .question(
            "facts",
            "For the audit: the payments of a range of orders.",
            |served: Served, Facts { after, upto }| async move { served.facts.facts(after, upto).await },
        )
        .question(
            "violations",
            "For the audit: payments whose ledger entries and state disagree.",
            |served: Served, Nothing {}| async move { served.facts.violations().await },
        )
}
