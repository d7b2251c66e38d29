//! Orders in memory, and what every implementation must do.

mod conformance;
mod fake;
mod words;

pub use conformance::{UnderTest, conformance};
pub use fake::FakeOrders;
pub use words::{PRICE_MINOR, context, customer, order, sku, wish};
