//! What every main shares: its modules' background work, started, watched and drained; its logs and
//! metrics.

mod metrics;
mod module;
mod telemetry;
mod work;

pub use metrics::{Metrics, MetricsError};
pub use module::{HeldSlots, Module, Reconciler};
pub use telemetry::{LogFormat, log_to_stderr};
pub use work::Work;
