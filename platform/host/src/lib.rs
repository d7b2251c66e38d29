//! What every main shares: its modules' background work, started, watched and drained; its logs.

mod module;
mod telemetry;
mod work;

pub use module::{HeldSlots, Module, Reconciler};
pub use telemetry::{LogFormat, log_to_stderr};
pub use work::Work;
