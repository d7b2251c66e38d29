//! The HTTP edge: tokens, problems, and the page of calls to the outside.

pub mod outbound;
pub mod problem;
pub mod token;

pub use problem::Problem;
pub use token::{Claims, Keys, Principal, TokenError};
