//! `/sandbox`: the book for the shop's audit, and the faults.

pub(crate) mod live;
pub(crate) mod read_book;
pub(crate) mod show_faults;
pub(crate) mod turn_up;
