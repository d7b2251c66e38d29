//! Inventory in memory, and what every implementation must do.

mod conformance;
mod fake;
mod words;

pub use conformance::{UnderTest, conformance};
pub use fake::FakeInventory;
pub use words::{confirm, context, lines, order, receipt, receipt_at, release, reserve, sku};
