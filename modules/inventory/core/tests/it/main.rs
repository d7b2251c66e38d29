//! Inventory's port, reconciler and consumer on real PostgreSQL.

mod concurrent;
mod conformance;
mod events;
mod facts;
mod poison;
mod public_count;
mod shipped;
mod statements;
mod stock_keeping;
mod wal;
mod world;
