//! Payments in memory, and what every implementation must do.

mod conformance;
mod fake;
mod words;

pub use conformance::{UnderTest, ask_until_settled, conformance};
pub use fake::{FakePayments, Said};
pub use words::{authorise, capture, context, give_back, order, refund, void};
