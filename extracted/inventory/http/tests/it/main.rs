//! The contract by HTTP: real client, real router, real core on real PostgreSQL.

mod conformance;
mod contract;
mod wire;
mod world;
