//! The carrier: quotes, books and delivers parcels.

pub(crate) mod book;
pub(crate) mod cancel;
pub(crate) mod events;
pub(crate) mod find;
mod json;
pub(crate) mod quote;
pub(crate) mod retrieve;
mod shipment;

pub use shipment::Shipment;
pub(crate) use shipment::undeliverable;
