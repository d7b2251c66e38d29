//! Logs: to stderr, for people or for machines.

use tracing_subscriber::{EnvFilter, fmt};

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Logs to stderr what `filter` lets through (`RUST_LOG`'s syntax). The first call counts.
pub fn log_to_stderr(format: LogFormat, filter: &str) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("warn"));
    let lines = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_target(false);
    // A process that has a subscriber already (a test) keeps it.
    let _ = match format {
        LogFormat::Text => lines.compact().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
}
