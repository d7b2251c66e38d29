//! Inventory in memory, and what every implementation must do.

mod conformance;
mod fake;
mod words;

pub use conformance::{UnderTest, a_batch_is_decided_in_the_order_of_ids, conformance};
pub use fake::FakeInventory;
pub use words::{confirm, context, lines, order, receipt, receipt_at, release, reserve, sku};
