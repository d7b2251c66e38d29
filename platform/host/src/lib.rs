//! What every main shares: its modules' background work, started, watched and drained; its logs, metrics and
//! traces; and the whole of a process that serves one module alone.

mod alone;
mod metrics;
mod module;
mod stop;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod traces;
mod work;

pub use alone::{Alone, Given, run};
pub use metrics::{Metrics, MetricsError};
pub use module::{HeldSlots, Module, Reconciler, Relaying};
pub use stop::StopSignals;
pub use telemetry::{LogFilter, LogFormat, Telemetry, is_coloured};
pub use traces::{TraceSettings, TraceVariable, collects_traces, head, trace_variables};
pub use work::Work;
