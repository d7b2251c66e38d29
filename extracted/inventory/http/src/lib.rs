//! Inventory's contract by HTTP, over its traits alone: the operations as a service offers them, and a client that is an
//! inventory to whoever asks it.

mod ask;
mod questions;
mod routed;

use std::sync::Arc;

use banyan_net::port::Port;
use inventory_api::{Inventory, NAME, StockFacts, StockKeeping};

pub use ask::HttpInventory;
use questions::{AboutSkus, AtLeast, Facts, Finding, Movements, Nothing, Placed, Receipts};
pub use routed::RoutedInventory;

/// Whatever implements the contract.
#[derive(Clone)]
pub struct Served {
    /// What others ask.
    pub inventory: Arc<dyn Inventory>,
    /// What staff and the public ask.
    pub keeping: Arc<dyn StockKeeping>,
    /// What the audit asks.
    pub facts: Arc<dyn StockFacts>,
}

impl Served {
    /// By one that does all of it.
    pub fn by(all: Arc<impl Inventory + StockKeeping + StockFacts + 'static>) -> Self {
        Self { inventory: all.clone(), keeping: all.clone(), facts: all }
    }
}

/// The operations.
#[must_use]
pub fn port() -> Port<Served> {
    Port::new(NAME, "How much there is, and for whom it is kept.")
        .batch("reserve", "Holds stock. Refusals: out_of_stock, cancelled.", |served: Served, batch| async move {
            served.inventory.reserve(batch).await
        })
        .batch(
            "confirm",
            "Makes holds firm. Refusals: reservation_expired, not_reserved, cancelled.",
            |served: Served, batch| async move { served.inventory.confirm(batch).await },
        )
        .batch("release", "Gives stock back. Refusal: already_shipped.", |served: Served, batch| async move {
            served.inventory.release(batch).await
        })
        .question(
            "receive",
            "Books what came in. Refusals: key_reused, stands_elsewhere.",
            |served: Served, Receipts { context, receipts }| async move {
                served.inventory.receive(context, receipts).await
            },
        )
        .question(
            "levels",
            "The levels of these products; one never received is not in the answer.",
            |served: Served, AboutSkus { skus }| async move { served.inventory.levels(skus).await },
        )
        .question(
            "adjust",
            "Books what was found. Refusals: unknown_product, below_zero, key_reused.",
            |served: Served, Finding { context, wish }| async move { served.keeping.adjust(context, wish).await },
        )
        .question(
            "movements",
            "The movements of a product's free stock, the newest first, strictly before a place.",
            |served: Served, Movements { sku, before, limit }| async move {
                let movements = served.keeping.movements(sku, before, limit).await;
                movements.map(|all| all.into_iter().map(Placed::from).collect::<Vec<_>>())
            },
        )
        .question(
            "availability",
            "What the public is told of these products, once it is told at least this; one never received is not in the answer. Refusal: read_model_behind.",
            |served: Served, AtLeast { skus, at_least }| async move {
                served.keeping.availability(skus, at_least).await
            },
        )
        .question(
            "facts",
            "For the audit: the reservations of a range of orders.",
            |served: Served, Facts { after, upto }| async move { served.facts.facts(after, upto).await },
        )
        .question(
            "violations",
            "For the audit: products whose numbers do not add up.",
            |served: Served, Nothing {}| async move { served.facts.violations().await },
        )
}
