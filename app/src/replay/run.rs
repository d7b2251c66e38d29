//! The whole replay, from file to report.

use std::{io, path::Path};

use super::{
    Exit, Options, Progress, Report, Unreadable, catalogue, client::Shop, drive::drive, faults::fault_table,
    feed::Feed, options::IN_FLIGHT_MAX, report::Told, settle::settle,
};

/// A replay that reached its report.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What it came to; its `exit` is the exit code.
    pub report: Report,
}

/// Why a replay has no report, or not the one that was hoped for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An option that makes no sense.
    #[error("{0}")]
    Usage(String),
    /// The file is not there, empty, or no replay file.
    #[error("{0}: {1}")]
    File(String, Unreadable),
    /// The file broke off while it was read.
    #[error("the file cannot be read on: {0}")]
    Read(io::Error),
    /// The shop refused to be set up, or did not answer.
    #[error("the shop: {0}")]
    Shop(String),
    /// No order ended for too long; the report tells what did before.
    #[error("{} orders are still open, and none ended for {stall_s} s: banyan order stuck", report.open)]
    StillOpen {
        /// All that is known.
        report: Box<Report>,
        /// How long nothing ended.
        stall_s: u64,
    },
    /// The report could not be kept; it is not lost.
    #[error("the report cannot be written to {path}: {why}")]
    ReportFile {
        /// Where it should have gone.
        path: String,
        /// Why it did not.
        why: io::Error,
        /// What should have gone there.
        report: Box<Report>,
    },
}

impl Error {
    /// The exit code that says so.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::File(..) => Exit::Usage,
            Self::Read(_) | Self::Shop(_) | Self::StillOpen { .. } | Self::ReportFile { .. } => Exit::Failed,
        }
    }

    /// The report, where there is one all the same.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        match self {
            Self::StillOpen { report, .. } | Self::ReportFile { report, .. } => Some(report),
            Self::Usage(_) | Self::File(..) | Self::Read(_) | Self::Shop(_) => None,
        }
    }
}

/// Plays a file into a shop and waits until every order has ended.
///
/// # Errors
/// When the file or an option is no good, the shop cannot be asked, or orders stay open; see [`Error`].
pub async fn run(options: Options, progress: &dyn Progress) -> Result<Outcome, Error> {
    let played = play(&options, progress).await;
    progress.finish();
    let report = played?;
    if let Some(path) = &options.report_file {
        keep(&report, path)?;
    }
    if report.open > 0 && report.trouble.is_none() {
        let stall_s = options.patience.stall.as_secs();
        return Err(Error::StillOpen { report: Box::new(report), stall_s });
    }
    Ok(Outcome { report })
}

async fn play(options: &Options, progress: &dyn Progress) -> Result<Report, Error> {
    check(options)?;
    let shop = Shop::new(options)?;
    let (header, mut feed) = Feed::open(&options.file, options.strict, progress).await?;
    let products = catalogue::load(&shop, &mut feed, &header, options.run, progress).await?;
    let driven = drive(&shop, &mut feed, options, header.baskets, progress).await?;
    let ledger = settle(&shop, &driven, progress).await;
    let faults = fault_table(&shop).await;
    let lines = feed.lines;
    Ok(Report::of(Told { options, header: &header, products, lines, driven: &driven, ledger, faults }))
}

fn check(options: &Options) -> Result<(), Error> {
    if !(1..=IN_FLIGHT_MAX).contains(&options.in_flight) {
        return Err(Error::Usage(format!("{} in flight; 1 to {IN_FLIGHT_MAX} are taken", options.in_flight)));
    }
    if options.per_second == Some(0) {
        return Err(Error::Usage("0 baskets a second play nothing".to_owned()));
    }
    if options.limit == Some(0) {
        return Err(Error::Usage("a limit of 0 baskets plays nothing".to_owned()));
    }
    Ok(())
}

/// Written beside its place and renamed, so that a reader never meets half a report.
fn keep(report: &Report, path: &Path) -> Result<(), Error> {
    let part = path.with_extension("part");
    let json = serde_json::to_vec_pretty(report).map_err(io::Error::other);
    let kept = json.and_then(|json| std::fs::write(&part, json)).and_then(|()| std::fs::rename(&part, path));
    let name = || path.display().to_string();
    kept.map_err(|why| Error::ReportFile { path: name(), why, report: Box::new(report.clone()) })
}
