//! What every main shares: its modules' background work, started, watched and drained; its logs, metrics and
//! traces; and the whole of a process that serves one module alone.

mod alone;
mod metrics;
mod module;
pub mod operations;
pub mod ports;
mod stop;
mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod told;
mod traces;
mod ways;
mod work;

pub use alone::{Alone, Carry, Given, run};
pub use metrics::{Metrics, MetricsError};
pub use module::{HeldSlots, Module, Reconciler};
pub use stop::StopSignals;
pub use telemetry::{LogFilter, LogFormat, Telemetry, is_coloured};
pub use traces::{TraceSettings, TraceVariable, collects_traces, head, trace_variables};
pub use ways::Ways;
pub use work::Work;

/// Of every program that is one of our processes. A fifth of the shop's time went to the system's allocator: JSON is many small
/// pieces, freed on other threads than they were made on (measured, ADR 25).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;
