//! The report, for people.

use std::fmt::Write;

use banyan_kernel::Money;
use time::{format_description::BorrowedFormatItem, macros::format_description};

use super::{FaultTable, Judged, KINDS, OutcomeRow, Percentiles, Report, STEPS};

const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second] UTC");

impl Report {
    /// Five lines that say the most.
    #[must_use]
    pub fn head(&self) -> String {
        let started = self.started_at.format(TIME).unwrap_or_default();
        let rate = |per_s: Option<f64>| per_s.map_or_else(|| "-".to_owned(), |per_s| format!("{per_s:.1}/s"));
        let ratio =
            self.yardstick.map_or_else(String::new, |it| format!(", {:.2} of the yardstick", it.ratio));
        let seen = self.tally.to_string();
        let seen = if seen.is_empty() { "nothing to play".to_owned() } else { seen };
        let lines = [
            format!("Replay of {} ({}), run {}, started {started}", self.file, self.file_id, self.run),
            format!(
                "  {} baskets: {seen}, {} lines skipped",
                grouped(self.tally.done),
                grouped(self.skipped)
            ),
            format!(
                "  first-time orders: accepted {}, shipped {}{ratio}",
                rate(self.accepted_per_s),
                rate(self.shipped_per_s)
            ),
            format!("  placed to shipped: {}", short(self.shipping)),
            format!(
                "  revenue {} from {} shipped orders, {} of them in several parcels",
                self.revenue(),
                grouped(self.tally.shipped),
                grouped(self.split)
            ),
        ];
        lines.join("\n")
    }

    /// The whole report.
    #[must_use]
    pub fn text(&self) -> String {
        let parts = [
            self.head(),
            self.outcome_part(),
            self.step_part(),
            self.time_part(),
            self.rate_part(),
            self.look_part(),
            self.line_part(),
            format!("Exit code {}: {}", self.exit.code(), self.verdict()),
        ];
        let told: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        format!("{}\n", told.join("\n\n"))
    }

    fn outcome_part(&self) -> String {
        let label = |row: &OutcomeRow| {
            row.cause
                .as_ref()
                .map_or_else(|| row.outcome.clone(), |cause| format!("{}: {cause}", row.outcome))
        };
        let all = self.tally.done.max(1) as f64;
        let mut out = String::from("Baskets by outcome");
        for row in &self.outcomes {
            let share = 100.0 * row.count as f64 / all;
            let _ = write!(out, "\n  {:<44} {:>9} {share:>6.2} %", label(row), grouped(row.count));
        }
        if self.tally.replayed > 0 {
            let _ = write!(
                out,
                "\n  {} of them were accepted by an earlier replay, and answered alike",
                grouped(self.tally.replayed)
            );
        }
        if let Some(why) = &self.unanswered {
            let _ = write!(out, "\n  the first without an answer: {why}");
        }
        if self.tally.stuck > 0 {
            out.push_str("\n  stuck orders wait for a person: banyan order stuck");
        }
        out
    }

    fn step_part(&self) -> String {
        let Some(faults) = &self.faults else {
            return match &self.trouble {
                Some(why) => format!("Steps: no table: {why}"),
                None => {
                    "Steps: no table, since the shop lets no faults be injected (--allow-faults)".to_owned()
                }
            };
        };
        let mut out =
            String::from("Steps, counted since the shop's data folder was made (not of this run alone)\n");
        out.push_str(&step_table(faults));
        out.push_str("\n  ");
        out.push_str(&match &self.judged {
            Judged::Full => "every cell has been seen".to_owned(),
            Judged::Empty(cells) => format!("EMPTY: {}", cells.join(", ")),
            Judged::NoTable => "no table".to_owned(),
        });
        out
    }

    fn time_part(&self) -> String {
        let mut out = format!(
            "{:<36}{:>10}{:>10}{:>10}{:>10}{:>10}",
            "Milliseconds", "p50", "p90", "p99", "p99.9", "longest"
        );
        let rows = [
            ("basket sent to accepted, here", self.acceptance),
            ("placed to shipped, by the shop", self.shipping),
        ];
        for (what, percentiles) in rows {
            let _ = write!(out, "\n  {what:<34}");
            match percentiles {
                None => out.push_str("         -         -         -         -         -"),
                Some(Percentiles { p50_ms, p90_ms, p99_ms, p999_ms, max_ms, .. }) => {
                    for ms in [p50_ms, p90_ms, p99_ms, p999_ms, max_ms] {
                        let _ = write!(out, "{ms:>10.1}");
                    }
                }
            }
        }
        out
    }

    fn rate_part(&self) -> String {
        let rate = |per_s: Option<f64>| {
            per_s.map_or_else(|| "none for the first time".to_owned(), |it| format!("{it:.1}"))
        };
        let yardstick = self.yardstick.map_or_else(
            || "not measured: `banyan run` and `make bench` do, where pgbench is installed".to_owned(),
            |it| format!("{:.3} ({:.0} orders a second as bare rows, without a shop)", it.ratio, it.per_s),
        );
        let rows = [
            ("accepted a second", rate(self.accepted_per_s)),
            ("shipped a second", rate(self.shipped_per_s)),
            ("ratio to the yardstick", yardstick),
            ("revenue, shipped orders", self.revenue()),
        ];
        rows.iter()
            .fold("Rates and revenue".to_owned(), |out, (what, value)| format!("{out}\n  {what:<34}{value}"))
    }

    fn look_part(&self) -> String {
        let width = self.look_at.iter().map(|look| look.what.len()).max().unwrap_or(0);
        let line = |out, look: &super::LookAt| format!("{out}\n  {:<width$}  {}", look.what, look.command());
        self.look_at.iter().fold("Orders to look at".to_owned(), line)
    }

    fn line_part(&self) -> String {
        if self.skipped == 0 {
            return String::new();
        }
        let mut out = format!("Broken lines: {}", grouped(self.skipped));
        for broken in &self.broken {
            let _ = write!(out, "\n  line {}: {}", broken.line, broken.why);
        }
        let unnamed = self.skipped - self.broken.len() as u64;
        if unnamed > 0 {
            let _ = write!(out, "\n  and {} more", grouped(unnamed));
        }
        out
    }

    fn verdict(&self) -> String {
        use super::Exit::{Clean, EmptyCell, Failed, SomeSkipped, StrictStop, Usage};
        match self.exit {
            Clean => "every basket was answered".to_owned(),
            Failed if self.trouble.is_some() => {
                format!("the shop stopped answering: {}", self.trouble.as_deref().unwrap_or_default())
            }
            Failed if self.open > 0 => {
                format!("{} orders are still open; banyan order stuck", grouped(self.open))
            }
            Failed if self.tally.unanswered > 0 => {
                "baskets were left without an answer; the same command resumes".to_owned()
            }
            Failed => "no basket was accepted".to_owned(),
            Usage => "the command was not understood".to_owned(),
            SomeSkipped => format!("{} broken lines were skipped", grouped(self.skipped)),
            StrictStop => format!("stopped at line {}", self.stopped_at.unwrap_or_default()),
            EmptyCell => {
                "the step table has empty cells (too small a sample? --allow-empty-cells)".to_owned()
            }
        }
    }

    fn revenue(&self) -> String {
        let (whole, fraction) = Money { minor: self.revenue_minor, currency: self.currency }.major(".");
        format!("{}{fraction} {}", grouped(whole), self.currency)
    }
}

fn step_table(faults: &FaultTable) -> String {
    let mut out = format!("  {:<12}", "step");
    for (_, title) in KINDS {
        let _ = write!(out, "{title:>20}");
    }
    for step in STEPS {
        let _ = write!(out, "\n  {step:<12}");
        for (kind, _) in KINDS {
            let _ = write!(out, "{:>20}", grouped(faults.count(step, kind)));
        }
    }
    out
}

fn short(percentiles: Option<Percentiles>) -> String {
    percentiles.map_or_else(
        || "none".to_owned(),
        |it| {
            format!(
                "p50 {:.0} ms, p90 {:.0} ms, p99 {:.0} ms, p99.9 {:.0} ms",
                it.p50_ms, it.p90_ms, it.p99_ms, it.p999_ms
            )
        },
    )
}

/// A number with commas.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}
