//! The catalogue in memory, and what every implementation must do.

mod conformance;
mod fake;

use banyan_kernel::{Actor, Context, Money, Role, Sku, TraceParent};

use crate::PutProduct;

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

/// A member of staff.
#[must_use]
pub fn staff() -> Context {
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".parse();
    let trace: TraceParent = trace.expect("a trace");
    Context { actor: Actor { role: Role::Staff, id: "tester".into() }, trace }
}
