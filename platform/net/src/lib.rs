//! The HTTP edge: who asks, problems, webhooks, the listener; the page of calls to other processes; the HTTP form of a port; and the route between it and a module that is here.

pub mod call;
mod client;
pub mod identity;
mod measure;
pub mod outbound;
pub mod port;
pub mod problem;
pub mod route;
pub mod server;
mod under_way;
pub mod webhook;

pub use client::client;
pub use identity::{Identity, Keys, Principal, TokenError, ValidUntil, identify};
pub use measure::{SECONDS, measure};
pub use problem::Problem;
pub use server::{ServerLimits, serve};
pub use webhook::WebhookSecrets;
