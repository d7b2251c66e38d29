//! Shipping's port, reconciler and consumer on real PostgreSQL, against the sandbox's carrier over real HTTP.

mod conformance;
mod crash;
mod facts;
mod faults;
mod orders;
mod poison;
mod statements;
mod tracking;
mod wal;
mod world;
