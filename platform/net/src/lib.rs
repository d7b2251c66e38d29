//! The HTTP edge: who asks, problems, webhooks, the listener; the page of calls to other processes; and the HTTP form of a port.

pub mod call;
mod client;
pub mod identity;
mod measure;
pub mod outbound;
pub mod port;
pub mod problem;
pub mod server;
mod under_way;
pub mod webhook;

pub use client::client;
pub use identity::{Identity, Keys, Principal, TokenError, ValidUntil, identify};
pub use measure::{SECONDS, measure};
pub use problem::Problem;
pub use server::{ServerLimits, serve};
pub use webhook::WebhookSecrets;
