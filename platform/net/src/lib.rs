//! The HTTP edge: who asks, problems, webhooks, the listener; and the page of calls to the outside.

mod client;
pub mod identity;
mod measure;
pub mod outbound;
pub mod problem;
pub mod server;
pub mod webhook;

pub use client::client;
pub use identity::{Identity, Keys, Principal, TokenError, identify};
pub use measure::{SECONDS, measure};
pub use problem::Problem;
pub use server::{ServerLimits, serve};
pub use webhook::WebhookSecrets;
