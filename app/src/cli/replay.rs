//! `banyan replay`

use std::{path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use banyan_kernel::{Clock, SystemClock};
use banyan_net::Keys;
use clap::Args;

use super::{
    Common,
    client::{self, Client},
};
use crate::{
    place::{self, Running},
    replay::{self, Options, Report, progress_on_stderr},
};

/// Where the last report is kept in the data folder.
pub(super) const REPORT: &str = "report.json";
const MAILS_WAIT: Duration = Duration::from_secs(10);
const MAILS_POLL: Duration = Duration::from_millis(100);
const TOKEN_VALID: Duration = Duration::from_secs(24 * 3_600);

/// Plays a file of baskets; the format is described in `app/sample/README.md`. Exit codes: 0 all played,
/// 1 failed, 2 no such file or an empty one, 3 broken lines were skipped, 4 stopped at one (--strict),
/// 5 a cell of the step table is empty.
#[derive(Args)]
pub(super) struct ReplayArgs {
    /// The file.
    file: PathBuf,
    /// Which series: the same one again doubles nothing, another one starts afresh.
    #[arg(long, default_value_t = 1)]
    run: u32,
    /// Stops at the first broken line.
    #[arg(long)]
    strict: bool,
    /// How many baskets are under way at once, 1 to 1024.
    #[arg(long, default_value_t = 64)]
    in_flight: usize,
    /// Begins at most so many baskets a second; as fast as they go, unless told.
    #[arg(long)]
    per_second: Option<u32>,
    /// Plays only so many baskets.
    #[arg(long)]
    limit: Option<usize>,
    /// An empty cell of the step table does not count: for what is too small to fill them all.
    #[arg(long)]
    allow_empty_cells: bool,
    /// What PostgreSQL alone takes on this machine, in orders a second (`make bench`); as the first start measured it, unless told.
    #[arg(long)]
    yardstick: Option<f64>,
}

pub(super) async fn replay(common: &Common, args: ReplayArgs) -> Result<ExitCode, String> {
    let client = Client::find(common)?;
    // A shop that stops answering is waited for; one that does not answer at all was never opened.
    client.ask(client.api(reqwest::Method::GET, "/health/live")).await?;
    let mut options = options(common, &client.running, args.file)?;
    options.run = args.run;
    options.strict = args.strict;
    options.in_flight = args.in_flight;
    options.per_second = args.per_second;
    options.limit = args.limit;
    options.allow_empty_cells = args.allow_empty_cells;
    options.yardstick_per_s = args.yardstick.or(measured(common)?);
    let (code, report) = play(options).await;
    if let Some(report) = report {
        say!("{}\n{}", report.text(), mails(&client).await?);
        say!("`banyan` above is {}", super::program(common)?);
    }
    Ok(ExitCode::from(code))
}

/// The yardstick as the first start measured it here, which the last report hands on.
fn measured(common: &Common) -> Result<Option<f64>, String> {
    let last: Option<Report> = place::read(&common.data, REPORT).map_err(|error| error.to_string())?;
    Ok(last.and_then(|report| report.yardstick).map(|yardstick| yardstick.per_s))
}

/// What the shop's customers were told, counted since its database was made. Those who listen to orders may be a moment
/// behind: what an end has to say is waited for, at most so long.
pub(super) async fn mails(client: &Client) -> Result<String, String> {
    let deadline = tokio::time::Instant::now() + MAILS_WAIT;
    let told = loop {
        let told = client.value(client.admin(reqwest::Method::GET, "/admin/mails")).await?;
        let count = |kind: &str| told["mails"][kind].as_u64().unwrap_or(0);
        let all = count("confirmed") == count("shipped") + count("cancelled");
        if all || tokio::time::Instant::now() >= deadline {
            break told;
        }
        tokio::time::sleep(MAILS_POLL).await;
    };
    let counts = told["mails"].as_object().into_iter().flatten();
    let counts: Vec<String> = counts.map(|(kind, count)| format!("{count} {kind}")).collect();
    Ok(format!("Mails, counted since the shop's database was made\n  {}", counts.join(", ")))
}

/// Options for the shop at `running`, with tokens made by the data folder's key.
pub(super) fn options(common: &Common, running: &Running, file: PathBuf) -> Result<Options, String> {
    let keys: Keys = client::keys(common)?;
    let staff = client::staff_token(&keys, TOKEN_VALID)?;
    let mint =
        Arc::new(move |customer| client::customer_token(&keys, customer, TOKEN_VALID).unwrap_or_default());
    let mut options = Options::new(file, running.api.clone(), staff, mint, SystemClock.now());
    options.admin_url = Some(running.admin.clone());
    options.report_file = Some(common.data.join(REPORT));
    Ok(options)
}

/// Plays; says what went wrong on stderr. The exit code, and the report if there is one.
pub(super) async fn play(options: Options) -> (u8, Option<Report>) {
    match replay::run(options, &*progress_on_stderr()).await {
        Ok(outcome) => (outcome.report.exit.code(), Some(outcome.report)),
        Err(error) => {
            complain!("banyan: {error}");
            (error.exit().code(), error.report().cloned())
        }
    }
}
