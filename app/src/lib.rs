//! The shop in one binary. `compose` knows who implements what; everybody else knows contracts.

mod admin;
mod api;
pub mod audit;
pub mod cli;
mod compose;
pub mod config;
mod faults;
mod flags;
mod forgotten;
mod observe;
mod place;
mod processes;
pub mod replay;
mod routes;
pub mod shop;
mod staff_log;

pub use compose::{Participants, Parts, Swap};
