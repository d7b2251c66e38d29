//! What one sees while a replay runs.

use std::{
    fmt,
    io::{self, IsTerminal, Write},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde::{Deserialize, Serialize};

use super::{Broken, text::grouped};

/// Between two plain lines.
const PLAIN_EVERY: Duration = Duration::from_secs(3);

/// What a replay is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Products and stock are brought in.
    Catalogue,
    /// Baskets are played.
    Baskets,
    /// Orders are followed to their end.
    Settling,
}

/// Outcomes so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Of the phase: products, baskets, or orders.
    pub done: u64,
    /// Orders accepted.
    pub accepted: u64,
    /// Of these, accepted in an earlier replay.
    pub replayed: u64,
    /// Baskets refused at once.
    pub refused: u64,
    /// Baskets without an answer.
    pub unanswered: u64,
    /// Requests asked again.
    pub retries: u64,
    /// Orders shipped.
    pub shipped: u64,
    /// Orders cancelled.
    pub cancelled: u64,
    /// Orders stopped.
    pub stuck: u64,
}

/// Is told how far a replay has come.
pub trait Progress: Send + Sync {
    /// A phase begins, of `total` products, baskets or orders where that is known.
    fn phase(&self, phase: Phase, total: Option<u64>);
    /// Something was done.
    fn tally(&self, tally: &Tally);
    /// A line was skipped.
    fn broken(&self, broken: &Broken);
    /// Nothing more will come.
    fn finish(&self);
}

/// A bar where standard error is a terminal, else plain lines.
#[must_use]
pub fn progress_on_stderr() -> Box<dyn Progress> {
    if io::stderr().is_terminal() { Box::new(Bar::default()) } else { Box::new(Plain::new(io::stderr())) }
}

/// Says nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

/// One bar on standard error, with rate, time left and outcomes so far.
#[derive(Debug, Default)]
pub struct Bar(Mutex<Option<ProgressBar>>);

/// A line every few seconds.
pub struct Plain<W>(Mutex<PlainState<W>>);

struct PlainState<W> {
    out: W,
    phase: Phase,
    total: Option<u64>,
    began: Instant,
    said: Option<Instant>,
    /// The last tally that was not printed.
    unsaid: Option<Tally>,
}

impl Phase {
    /// What is counted, in words.
    #[must_use]
    pub fn counts(self) -> &'static str {
        match self {
            Self::Catalogue => "products",
            Self::Baskets => "baskets",
            Self::Settling => "orders ended",
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("accepted", self.accepted),
            ("replayed", self.replayed),
            ("refused", self.refused),
            ("unanswered", self.unanswered),
            ("asked again", self.retries),
            ("shipped", self.shipped),
            ("cancelled", self.cancelled),
            ("stuck", self.stuck),
        ];
        let seen = parts.into_iter().filter(|(_, count)| *count > 0);
        let words: Vec<_> = seen.map(|(what, count)| format!("{} {what}", grouped(count))).collect();
        f.write_str(&words.join(", "))
    }
}

impl Progress for Silent {
    fn phase(&self, _: Phase, _: Option<u64>) {}
    fn tally(&self, _: &Tally) {}
    fn broken(&self, _: &Broken) {}
    fn finish(&self) {}
}

impl Bar {
    fn with(&self, act: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = held(&self.0).as_ref() {
            act(bar);
        }
    }
}

impl Progress for Bar {
    fn phase(&self, phase: Phase, total: Option<u64>) {
        let shape = match total {
            Some(_) => "{prefix:>12} [{bar:30}] {human_pos}/{human_len} {rate} ETA {eta}  {wide_msg}",
            None => "{prefix:>12} {spinner} {human_pos} {rate}  {wide_msg}",
        };
        let bar = total.map_or_else(ProgressBar::new_spinner, ProgressBar::new).with_prefix(phase.counts());
        let style = ProgressStyle::with_template(shape).expect("the template is constant and valid");
        let rate = |state: &ProgressState, out: &mut dyn fmt::Write| {
            // A bar that cannot be drawn is drawn again.
            let _ = out.write_str(&format!("{:.0}/s", state.per_sec()));
        };
        bar.set_style(style.with_key("rate", rate));
        if let Some(before) = held(&self.0).replace(bar) {
            before.finish();
        }
    }

    fn tally(&self, tally: &Tally) {
        self.with(|bar| {
            bar.set_position(tally.done);
            bar.set_message(tally.to_string());
        });
    }

    fn broken(&self, broken: &Broken) {
        let line = skipped(broken);
        match held(&self.0).as_ref() {
            Some(bar) => bar.suspend(|| eprintln!("{line}")),
            None => eprintln!("{line}"),
        }
    }

    fn finish(&self) {
        self.with(ProgressBar::finish);
    }
}

impl<W: Write> Plain<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        let began = Instant::now();
        let (phase, total, said, unsaid) = (Phase::Catalogue, None, None, None);
        Self(Mutex::new(PlainState { out, phase, total, began, said, unsaid }))
    }
}

impl<W: Write + Send> Progress for Plain<W> {
    fn phase(&self, phase: Phase, total: Option<u64>) {
        let mut state = held(&self.0);
        state.flush();
        (state.phase, state.total, state.began, state.said) = (phase, total, Instant::now(), None);
    }

    fn tally(&self, tally: &Tally) {
        let mut state = held(&self.0);
        if state.said.unwrap_or(state.began).elapsed() >= PLAIN_EVERY {
            state.say(tally);
        } else {
            state.unsaid = Some(tally.clone());
        }
    }

    fn broken(&self, broken: &Broken) {
        // Nobody is left to tell when standard error is closed.
        let _ = writeln!(held(&self.0).out, "{}", skipped(broken));
    }

    fn finish(&self) {
        held(&self.0).flush();
    }
}

impl<W: Write> PlainState<W> {
    /// So that each phase's last line tells all of it.
    fn flush(&mut self) {
        if let Some(tally) = self.unsaid.take() {
            self.say(&tally);
        }
    }

    fn say(&mut self, tally: &Tally) {
        let line = plain_line(self.phase, self.total, self.began.elapsed(), tally);
        let _ = writeln!(self.out, "{line}");
        (self.said, self.unsaid) = (Some(Instant::now()), None);
    }
}

fn plain_line(phase: Phase, total: Option<u64>, elapsed: Duration, tally: &Tally) -> String {
    let per_s = tally.done as f64 / elapsed.as_secs_f64().max(0.001);
    let left = total.map(|total| total.saturating_sub(tally.done)).filter(|left| *left > 0 && per_s > 0.0);
    let of = total.map_or_else(String::new, |total| format!(" of {}", grouped(total)));
    let eta = left.map_or_else(String::new, |left| format!(", ETA {:.0} s", left as f64 / per_s));
    let line = format!("{}{of} {}, {per_s:.0}/s{eta}", grouped(tally.done), phase.counts());
    let outcomes = tally.to_string();
    if outcomes.is_empty() { line } else { format!("{line}: {outcomes}") }
}

fn skipped(broken: &Broken) -> String {
    format!("line {} is broken: {}", broken.line, broken.why)
}

/// A panic elsewhere leaves at worst a bar half drawn.
fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_line_tells_rate_time_left_and_outcomes() {
        let tally = Tally { done: 1_000, accepted: 990, refused: 10, ..Tally::default() };
        let line = plain_line(Phase::Baskets, Some(2_450), Duration::from_secs(2), &tally);
        assert_eq!(line, "1,000 of 2,450 baskets, 500/s, ETA 3 s: 990 accepted, 10 refused");
        let line = plain_line(Phase::Catalogue, None, Duration::ZERO, &Tally::default());
        assert_eq!(line, "0 products, 0/s");
    }

    #[test]
    fn plain_progress_names_broken_lines_and_ends_each_phase_with_all_of_it() {
        let plain = Plain::new(Vec::new());
        plain.phase(Phase::Baskets, Some(2));
        plain.tally(&Tally { done: 1, accepted: 1, ..Tally::default() });
        plain.broken(&Broken { line: 7, why: "expected value, column 1".to_owned() });
        plain.tally(&Tally { done: 2, accepted: 2, ..Tally::default() });
        plain.finish();
        let out = String::from_utf8(plain.0.into_inner().unwrap().out).unwrap();
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines[0], "line 7 is broken: expected value, column 1");
        assert!(lines[1].starts_with("2 of 2 baskets, ") && lines[1].ends_with(": 2 accepted"), "{out}");
    }
}
