//! Payments' port and reconciler on real PostgreSQL, against the sandbox's gateway over real HTTP.

mod alone;
mod conformance;
mod crash;
mod facts;
mod faults;
mod forgotten;
mod give_back;
mod hints;
mod poison;
mod race;
mod slow;
mod statements;
mod stripe;
mod wal;
mod world;
