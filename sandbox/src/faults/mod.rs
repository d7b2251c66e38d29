//! What goes wrong outside: a function of the request's address, never of when it arrived.

mod breaks;
mod counts;
mod plan;
mod profile;

pub(crate) use breaks::Breaks;
pub use breaks::{BreakRefused, BreakRequest, BreakView};
pub(crate) use counts::Counts;
pub use plan::{Fault, FaultKind, Outage, plan};
pub use profile::{Profile, ProfileError, Rate};
