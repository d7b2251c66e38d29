//! Logs to stderr, for people or for machines; traces to a collector, where one is named.

use std::{io::IsTerminal, time::Duration};

use tracing_subscriber::{EnvFilter, Layer, Registry, fmt, layer::SubscriberExt, util::SubscriberInitExt};

use crate::traces::{OnlyTraced, Sending, TraceSettings};

/// How long a stop waits for a collector.
const FLUSH_MAX: Duration = Duration::from_secs(3);

/// How a log line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What a process tells of itself while it runs.
pub struct Telemetry {
    traces: Option<Sending>,
}

impl Telemetry {
    /// Logs to stderr what `filter` lets through (`RUST_LOG`'s syntax), and sends traces if they are asked for. The
    /// first call counts.
    ///
    /// # Errors
    /// When traces cannot be sent as asked.
    pub fn start(format: LogFormat, filter: &str, traces: Option<TraceSettings>) -> Result<Self, String> {
        let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("warn"));
        let (subscriber, lines) = (tracing_subscriber::registry(), lines(format));
        // A process that has a subscriber already (a test) keeps it.
        let (_, traces) = match traces.map(Sending::start).transpose()? {
            Some((layer, sending)) => {
                let both = subscriber.with(lines.with_filter(filter)).with(layer.with_filter(OnlyTraced));
                (both.try_init(), Some(sending))
            }
            // One filter for all, which is cheaper than one for each.
            None => (subscriber.with(lines).with(filter).try_init(), None),
        };
        Ok(Self { traces })
    }

    /// Sends what is left of the traces, for a few seconds at most.
    pub fn stop(self) {
        if let Some(traces) = self.traces {
            traces.stop(FLUSH_MAX);
        }
    }
}

fn lines(format: LogFormat) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(is_coloured());
    match format {
        LogFormat::Text => lines.with_target(false).compact().boxed(),
        // With the target: it names the crate, which is the module.
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
}

/// Colours are for eyes: not for files, and not for who says so (<https://no-color.org>).
fn is_coloured() -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    std::io::stderr().is_terminal() && !unwanted
}
