//! Logs to stderr, for people or for machines; traces to a collector, where one is named.

use std::{io::IsTerminal, str::FromStr, time::Duration};

use tracing_subscriber::{
    EnvFilter, Layer, Registry, filter::LevelFilter, fmt, layer::SubscriberExt, util::SubscriberInitExt,
};

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

/// Which log lines are written, in `RUST_LOG`'s syntax.
#[derive(Clone, Debug)]
pub struct LogFilter(String);

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // `RUST_LOG` takes a word that is no level for a target, and says nothing of a level that is mistyped.
        let alone = |word: &&str| !word.is_empty() && !word.contains(['=', '[', ']', '{', '}']);
        let words = text.split(',').map(str::trim).filter(alone);
        for word in words {
            if word.parse::<LevelFilter>().is_err() {
                return Err(format!(
                    "{word} is no level (off, error, warn, info, debug, trace); a target has one behind it: {word}=info"
                ));
            }
        }
        EnvFilter::try_new(text).map_err(|error| error.to_string())?;
        Ok(Self(text.to_owned()))
    }
}

/// What a process tells of itself while it runs.
pub struct Telemetry {
    traces: Option<Sending>,
}

impl Telemetry {
    /// Logs to stderr what `filter` lets through, and sends traces if they are asked for. The first call counts.
    ///
    /// # Errors
    /// When traces cannot be sent as asked.
    pub fn start(
        format: LogFormat,
        filter: &LogFilter,
        traces: Option<TraceSettings>,
    ) -> Result<Self, String> {
        let filter = EnvFilter::try_new(&filter.0).map_err(|error| error.to_string())?;
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
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(is_coloured(&std::io::stderr()));
    match format {
        LogFormat::Text => lines.with_target(false).compact().boxed(),
        // With the target: it names the crate, which is the module.
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
}

/// Colours are for eyes: not for files, and not for who says so (<https://no-color.org>).
#[must_use]
pub fn is_coloured(output: &impl IsTerminal) -> bool {
    let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    output.is_terminal() && !unwanted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_levels_and_targets_with_a_level_and_nothing_else() {
        for good in [
            "warn",
            "INFO",
            "off",
            "",
            "info,orders_core=debug",
            "sqlx::query=trace, warn",
            "[order{id=1}]=info",
        ] {
            assert!(good.parse::<LogFilter>().is_ok(), "{good}");
        }
        for (wrong, word) in
            [("inof", "inof"), ("info,debgu", "debgu"), ("sqlx", "sqlx=info"), ("a=loud", "")]
        {
            let error = wrong.parse::<LogFilter>().expect_err(wrong);
            assert!(error.contains(word), "{wrong}: {error}");
        }
    }
}
