//! The catalogue in memory, and what every implementation must do.

mod conformance;
mod fake;

use std::sync::atomic::{AtomicU64, Ordering};

use banyan_kernel::{Actor, Context, Money, Role, Sku, TraceParent};

use crate::{PutProduct, PutProducts};

pub use conformance::conformance;
pub use fake::FakeCatalog;

/// A SKU of this text.
///
/// # Panics
/// When it is none.
#[must_use]
pub fn sku(text: &str) -> Sku {
    text.parse().expect("a test names valid SKUs")
}

/// A product wished for at so many cents.
#[must_use]
pub fn wish(sku_text: &str, minor: i64) -> PutProduct {
    let currency = "USD".parse().expect("a currency");
    PutProduct {
        sku: sku(sku_text),
        name: format!("Product {sku_text}"),
        category: "groceries".into(),
        description: String::new(),
        images: Vec::new(),
        price: Money { minor, currency },
    }
}

/// These products, under a key that nobody used.
#[must_use]
pub fn wishes(products: Vec<PutProduct>) -> PutProducts {
    static KEYS: AtomicU64 = AtomicU64::new(1);
    PutProducts { key: format!("wish/{}", KEYS.fetch_add(1, Ordering::Relaxed)), products, seen: None }
}

/// A member of staff.
#[must_use]
pub fn staff() -> Context {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse();
    let trace: TraceParent = trace.expect("a trace");
    Context { actor: Actor { role: Role::Staff, id: "tester".into() }, trace }
}
