//! Catalog's contract by HTTP, over its trait alone: the operations as a service offers them, and a client that is a catalogue to
//! whoever asks it; and the cache that whoever reads much has before a catalogue, wherever that is.

mod ask;
mod cached;
mod questions;
mod routed;

use std::sync::Arc;

use banyan_kernel::Answer;
use banyan_net::port::Port;
use catalog_api::{Catalog, ListProducts, NAME, Unavailable};

pub use ask::HttpCatalog;
pub use cached::{CachedCatalog, ProductCache};
use questions::{AboutSkus, Changed, Nothing, Put, Retired};
pub use routed::RoutedCatalog;

/// A catalogue of ten thousand products is put in one commit.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;

type Served = Arc<dyn Catalog>;

/// What could not be asked is unavailable, as in any other port.
fn answer<T>(said: Result<T, Unavailable>) -> Answer<T> {
    said.map_or_else(|Unavailable(why)| Answer::Unavailable(why), Answer::Done)
}

/// The operations.
#[must_use]
pub fn port() -> Port<Served> {
    Port::new(NAME, "What is sold, under which name, at which price.")
        .bodies_up_to(BODY_BYTES_MAX)
        .question(
            "products",
            "The products of these SKUs, retired ones too; one that was never sold is not in the answer.",
            |served: Served, AboutSkus { skus }| async move { answer(served.products(skus).await) },
        )
        .question("list", "A page of what is sold.", |served: Served, which: ListProducts| async move {
            answer(served.list(which).await)
        })
        .question(
            "categories",
            "All categories of what is sold, by name.",
            |served: Served, Nothing {}| async move { answer(served.categories().await) },
        )
        .question(
            "put",
            "Creates or changes products in one commit. Refusals: currency, key_reused.",
            |served: Served, Put { context, wish }| async move { served.put(context, wish).await },
        )
        .question(
            "change",
            "Creates or changes one product, if it stands as the asker saw it. Refusals: stale_version, currency.",
            |served: Served, Changed { context, product, expected }| async move {
                served.change(context, product, expected).await
            },
        )
        .question(
            "retire",
            "Takes a product out of sale. Refusal: unknown_product.",
            |served: Served, Retired { context, sku }| async move { served.retire(context, sku).await },
        )
}
