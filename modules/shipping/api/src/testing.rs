//! Shipping in memory, and what every implementation must do.

mod conformance;
mod fake;
mod words;

pub use conformance::{UnderTest, ask_until_settled, conformance};
pub use fake::{FakeShipping, Said};
pub use words::{book, book_from, cancel, context, order};
