//! What a replay came to. `text` prints it.

use banyan_kernel::{Currency, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    Broken, Exit, FaultTable, Header, LookAt, Options, Percentiles, Tally, drive::Driven, exit::Seen,
    feed::Lines, look_at, settle::Ledger,
};

/// Everything a replay has to say; as text by [`Report::text`], as JSON by serde.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The file's name, without its folder.
    pub file: String,
    /// The file's own name for its content.
    pub file_id: String,
    /// Which series.
    pub run: u32,
    /// When it started.
    #[serde(with = "banyan_kernel::rfc3339")]
    pub started_at: Timestamp,
    /// Products brought in.
    pub products: u64,
    /// Counts of all kinds; `done` is the number of baskets played.
    pub tally: Tally,
    /// Orders not followed to their end when waiting stopped.
    pub open: u64,
    /// What the shop did not answer once all baskets were played, so that something is missing here.
    pub trouble: Option<String>,
    /// Baskets by what became of them, the most frequent of a kind first.
    pub outcomes: Vec<OutcomeRow>,
    /// The first basket that had no answer, and why.
    pub unanswered: Option<String>,
    /// Broken lines.
    pub skipped: u64,
    /// The first hundred of them.
    pub broken: Vec<Broken>,
    /// The line at which `--strict` stopped.
    pub stopped_at: Option<u64>,
    /// The step table, where the admin address was known.
    pub faults: Option<FaultTable>,
    /// Whether any cell of it is empty.
    pub judged: Judged,
    /// From the first try of a basket to its acceptance, measured here.
    pub acceptance: Option<Percentiles>,
    /// From placed to shipped, by the shop's times.
    pub shipping: Option<Percentiles>,
    /// First-time orders accepted a second.
    pub accepted_per_s: Option<f64>,
    /// First-time orders shipped a second.
    pub shipped_per_s: Option<f64>,
    /// Beside the bare database.
    pub yardstick: Option<Yardstick>,
    /// What the shipped orders brought in, minor units.
    pub revenue_minor: i64,
    /// How many of the shipped orders went in several parcels.
    #[serde(default)]
    pub split: u64,
    /// Of the revenue.
    pub currency: Currency,
    /// Orders to look at.
    pub look_at: Vec<LookAt>,
    /// How it ended.
    pub exit: Exit,
}

/// So many baskets had this outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutcomeRow {
    /// `shipped`, `cancelled`, `stuck`, `open`, `accepted` (not followed), `refused`, `unanswered`.
    pub outcome: String,
    /// Why, where there is a cause.
    pub cause: Option<String>,
    /// How many.
    pub count: u64,
}

/// Whether every fault of the step table was met.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Judged {
    /// Every cell has something in it.
    Full,
    /// These cells have nothing in them, as `step/kind`.
    Empty(Vec<String>),
    /// No admin address, no table.
    NoTable,
}

/// The same order as bare rows in the same database, without a shop around them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Yardstick {
    /// Its orders per second.
    pub per_s: f64,
    /// Shipped per second of that.
    pub ratio: f64,
}

/// What a report is made from.
pub(super) struct Told<'a> {
    pub(super) options: &'a Options,
    pub(super) header: &'a Header,
    pub(super) products: u64,
    pub(super) lines: Lines,
    pub(super) driven: &'a Driven,
    pub(super) ledger: Option<Ledger>,
    pub(super) faults: Result<Option<FaultTable>, String>,
}

impl Report {
    pub(super) fn of(told: Told<'_>) -> Self {
        let Told { options, header, products, lines, driven, ledger, faults } = told;
        let outcomes = outcomes(driven, ledger.as_ref());
        let mut ledger = ledger.unwrap_or_default();
        let (faults, no_table) = faults.map_or_else(|why| (None, Some(why)), |table| (table, None));
        let trouble = ledger.trouble.take().or(no_table);
        let judged = judge(faults.as_ref());
        let exit = Exit::of(Seen {
            baskets: driven.tally.done,
            accepted: driven.tally.accepted,
            unanswered: driven.tally.unanswered,
            open: ledger.open,
            trouble: trouble.is_some(),
            skipped: lines.skipped,
            strict_stop: lines.stopped_at.is_some(),
            empty_cell: matches!(judged, Judged::Empty(_)) && !options.allow_empty_cells,
        });
        Self {
            file: options.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            file_id: header.id.clone(),
            run: options.run,
            started_at: options.started_at,
            products,
            tally: tally(driven, &outcomes),
            open: ledger.open,
            trouble,
            outcomes,
            unanswered: driven.unanswered.clone(),
            skipped: lines.skipped,
            broken: lines.broken,
            stopped_at: lines.stopped_at,
            look_at: look_at::three(&ledger, faults.as_ref()),
            faults,
            judged,
            acceptance: driven.acceptance,
            shipping: ledger.shipping,
            accepted_per_s: accepted_per_s(driven),
            shipped_per_s: ledger.shipped_per_s,
            yardstick: yardstick(options.yardstick_per_s, ledger.shipped_per_s),
            revenue_minor: ledger.revenue_minor,
            split: ledger.split,
            currency: header.currency,
            exit,
        }
    }
}

fn outcomes(driven: &Driven, ledger: Option<&Ledger>) -> Vec<OutcomeRow> {
    let row = |outcome: &str, cause: Option<String>, count| OutcomeRow {
        outcome: outcome.to_owned(),
        cause,
        count,
    };
    let mut rows = Vec::new();
    if let Some(ledger) = ledger {
        rows.extend(ledger.ended.iter().map(|((state, cause), count)| row(state, cause.clone(), *count)));
        rows.push(row("open", None, ledger.open));
    } else {
        rows.push(row("accepted", None, driven.tally.accepted));
    }
    rows.extend(driven.refused.iter().map(|(name, count)| row("refused", Some(name.clone()), *count)));
    rows.push(row("unanswered", None, driven.tally.unanswered));
    rows.retain(|row| row.count > 0);
    rows.sort_by_key(|row| (rank(&row.outcome), std::cmp::Reverse(row.count)));
    rows
}

/// Good news first.
fn rank(outcome: &str) -> usize {
    let order = ["shipped", "accepted", "cancelled", "stuck", "open", "refused", "unanswered"];
    order.iter().position(|known| *known == outcome).unwrap_or(order.len())
}

fn tally(driven: &Driven, outcomes: &[OutcomeRow]) -> Tally {
    let sum = |outcome: &str| outcomes.iter().filter(|row| row.outcome == outcome).map(|row| row.count).sum();
    let (shipped, cancelled, stuck) = (sum("shipped"), sum("cancelled"), sum("stuck"));
    Tally { shipped, cancelled, stuck, ..driven.tally.clone() }
}

fn judge(faults: Option<&FaultTable>) -> Judged {
    let Some(faults) = faults else { return Judged::NoTable };
    let empty = faults.empty_cells();
    if empty.is_empty() { Judged::Full } else { Judged::Empty(empty) }
}

/// A repeat of what was accepted before says nothing about accepting.
fn accepted_per_s(driven: &Driven) -> Option<f64> {
    let first_time = driven.tally.accepted - driven.tally.replayed;
    (first_time > 0 && !driven.took.is_zero()).then(|| first_time as f64 / driven.took.as_secs_f64())
}

fn yardstick(per_s: Option<f64>, shipped_per_s: Option<f64>) -> Option<Yardstick> {
    let per_s = per_s.filter(|per_s| *per_s > 0.0)?;
    Some(Yardstick { per_s, ratio: shipped_per_s? / per_s })
}
