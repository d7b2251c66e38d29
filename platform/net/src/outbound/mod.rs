//! Commands that need somebody outside: what is recorded of a call before it is made ([`Intent`]); how a command goes that needs one
//! ([`ask()`]); and who finds what has no outcome yet ([`Reconciler`]). A module that calls somebody is a [`Desk`]. The call
//! itself goes down the page of calls ([`crate::call::page`]), with one attempt: who calls has a durable retry of its own, under
//! the same idempotency key.

mod ask;
mod desk;
mod intent;
mod reconcile;

pub use ask::{Judge, ask};
pub use desk::{Changes, Desk, Judged, Record, trace_id, under_way};
pub use intent::{BACK_OFF_MAX, Intent, Outcome, Timing};
pub use reconcile::Reconciler;

pub use crate::call::{Call, CallError, Callee, Caller, Method, Reply, Room};
