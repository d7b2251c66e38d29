//! Real input: `banyan replay FILE` plays a file of baskets into a shop as its customers would.
//!
//! A client of the public HTTP API and nothing else: it knows no module, no database, no port. Read it in
//! the order in which a basket goes through: `parse` (a line becomes a record), `feed` (records in, broken
//! lines named), `catalogue` (products and stock, as staff), `drive` (baskets, as customers), `retry` (what
//! may be asked again, and when), `settle` (until every order ended), `report`. The file's format is told in
//! `app/sample/README.md`.
//!
//! Playing a file twice doubles nothing: each request's `Idempotency-Key` hangs on the run and the content
//! alone. Exit codes: see [`Exit`].

mod catalogue;
mod client;
mod drive;
mod exit;
#[cfg(test)]
mod fake;
mod faults;
mod feed;
mod look_at;
mod options;
mod parse;
mod percentiles;
mod progress;
mod report;
mod retry;
mod run;
mod settle;
mod text;

pub use exit::Exit;
pub use faults::{Cell, FaultTable, KINDS, STEPS};
pub use look_at::LookAt;
pub use options::{IN_FLIGHT_MAX, Mint, Options};
pub use parse::{Basket, Broken, Header, Product, Reader, Record, Unreadable};
pub use percentiles::Percentiles;
pub use progress::{Bar, Phase, Plain, Progress, Silent, Tally, progress_on_stderr};
pub use report::{Judged, OutcomeRow, Report, Yardstick};
pub use retry::Patience;
pub use run::{Error, Outcome, run};

#[cfg(test)]
mod tests;
