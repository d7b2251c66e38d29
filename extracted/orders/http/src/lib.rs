//! Orders' contract by HTTP, over its traits alone: the operations as a service offers them, and a client that is orders to whoever
//! asks it.

mod ask;
mod questions;
mod routed;

use std::sync::Arc;

use banyan_net::port::Port;
use orders_api::{NAME, OrderFacts, Orders};

pub use ask::HttpOrders;
use questions::{
    After, Cancel, Facts, Listing, ListingPage, Nothing, OfOrder, OfOrders, PageEnd, Resolve, SalesListing,
    SalesListingPage, Viewed, Wishes,
};
pub use routed::RoutedOrders;

/// Whatever implements the contract.
#[derive(Clone)]
pub struct Served {
    /// What others ask.
    pub orders: Arc<dyn Orders>,
    /// What the audit asks, reports, and who looks after a running shop.
    pub facts: Arc<dyn OrderFacts>,
}

impl Served {
    /// By one that does all of it.
    pub fn by(all: Arc<impl Orders + OrderFacts + 'static>) -> Self {
        Self { orders: all.clone(), facts: all }
    }
}

/// The operations.
#[must_use]
pub fn port() -> Port<Served> {
    let port = Port::new(NAME, "What a customer asked for, and what became of it.");
    reports(facts(history(lists(changes(port)))))
}

fn changes(port: Port<Served>) -> Port<Served> {
    port.question(
        "place",
        "Accepts orders. Refusals: unknown_product, retired_product, price, key_reused, in_flight.",
        |served: Served, Wishes { wishes }| async move { served.orders.place(wishes).await },
    )
    .question(
        "cancel",
        "Asks for an order to be undone. Refusals: unknown_order, already_shipped.",
        |served: Served, Cancel { order, reason, context }| async move {
            served.orders.cancel(order, reason, context).await
        },
    )
    .question(
        "resolve",
        "Gets a stuck order going again. Refusals: unknown_order, not_stuck.",
        |served: Served, Resolve { order, how, reason, context }| async move {
            served.orders.resolve(order, how, reason, context).await
        },
    )
}

fn lists(port: Port<Served>) -> Port<Served> {
    port.question(
        "view",
        "Orders as they stand; unknown ones, and to a reader those of others, are not in the answer.",
        |served: Served, Viewed { orders, reader }| async move { served.orders.view(orders, reader).await },
    )
    .question(
        "list",
        "The newest orders first, of a read model. Refusal: read_model_behind.",
        |served: Served, listing: Listing| async move {
            served.orders.list(listing.into()).await.map(ListingPage::from)
        },
    )
    .question(
        "sales",
        "What was sold, of a read model.",
        |served: Served, listing: SalesListing| async move {
            served.orders.sales(listing.into()).await.map(SalesListingPage::from)
        },
    )
}

fn history(port: Port<Served>) -> Port<Served> {
    port.question(
        "events",
        "An order's events after a version, oldest first. Refusal: unknown_order.",
        |served: Served, After { order, after }| async move { served.orders.events(order, after).await },
    )
    .question(
        "why",
        "Why an order stands where it stands. Refusal: unknown_order.",
        |served: Served, OfOrder { order }| async move { served.orders.why(order).await },
    )
    .question(
        "stuck",
        "The orders that wait longest or are stopped.",
        |served: Served, Nothing {}| async move { served.orders.stuck().await },
    )
}

fn facts(port: Port<Served>) -> Port<Served> {
    port.question(
        "page-end",
        "For the audit: the last order of a page after one.",
        |served: Served, PageEnd { after, limit }| async move { served.facts.page_end(after, limit).await },
    )
    .question(
        "facts",
        "For the audit: a range of orders.",
        |served: Served, Facts { after, upto }| async move { served.facts.facts(after, upto).await },
    )
    .question(
        "sales-violations",
        "For the audit: what is wrong with the sales.",
        |served: Served, Nothing {}| async move { served.facts.sales_violations().await },
    )
}

fn reports(port: Port<Served>) -> Port<Served> {
    port.question(
        "settled",
        "How these orders stand; unknown ones are left out.",
        |served: Served, OfOrders { orders }| async move { served.facts.settled(orders).await },
    )
    .question("refusals", "How often each step was refused.", |served: Served, Nothing {}| async move {
        served.facts.refusals().await
    })
    .question("open", "Orders that are not ended, by state.", |served: Served, Nothing {}| async move {
        served.facts.open().await
    })
}
