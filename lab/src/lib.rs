//! Scenarios, bench, simulation and architecture tests on real processes.
//!
//! [`stage`] starts, stops and faults shops as a person at a terminal would; everything else plays on it;
//! [`contracts`] says what would break the client of a document.

pub mod bad_day;
pub mod contracts;
pub mod stage;
