//! Orders on real PostgreSQL.

mod chain;
mod commit_order;
mod conformance;
mod log;
mod log_suite;
mod parked;
mod place;
mod poison;
mod read_models;
mod real;
mod source;
mod statements;
mod world;
