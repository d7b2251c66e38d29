//! The payment gateway, shaped like Stripe's PaymentIntents.

pub(crate) mod authorise;
pub(crate) mod capture;
pub(crate) mod card;
mod form;
mod intent;
pub(crate) mod list_disputes;
pub(crate) mod list_refunds;
pub(crate) mod refund;
pub(crate) mod retrieve;
pub(crate) mod search;
pub(crate) mod void;

pub use card::Decline;
pub use intent::{Intent, Refund, Status};
