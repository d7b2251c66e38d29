//! Notifications on real PostgreSQL, and by a real SMTP conversation.

mod conformance;
mod heard;
mod person;
mod sent;
mod server;
mod statements;
mod world;
