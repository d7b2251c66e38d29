//! The book: an append-only file of JSON lines, one per real effect, durable before anyone is answered.

mod append;
mod entry;
mod load;
mod page;
mod record;

pub(crate) use append::{Book, Tail};
pub(crate) use entry::FORM;
pub use entry::{Effect, Entry};
pub use load::BookError;
pub(crate) use load::open;
pub(crate) use page::{Line, PageError, line_at, page};
