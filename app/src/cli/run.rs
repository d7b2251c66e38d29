//! `banyan run`: the shop with the sample played into it at first, a report, and five things to try.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use banyan_host::StopSignals;
use banyan_kernel::{Clock, SystemClock};
use clap::Args;

use super::{
    Common,
    client::{self, Client},
    replay,
    serve::{self, ServeArgs},
    yardstick,
};
use crate::{
    api::{EXAMPLE_CUSTOMER, example_contact},
    place,
    replay::Report,
    shop::RunningShop,
};

/// So that the sample's slow card, which takes 12 s, meets an expired hold.
const HOLD_S: &str = "8";
/// Parcels arrive while whoever ordered them still looks.
const DELIVER_AFTER_S: &str = "60";
const TOKEN_VALID: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The development run: faults may be injected, and three settings have other defaults than `serve`'s.
#[derive(Args, Clone)]
#[command(
    mut_arg("sandbox_faults", |arg| arg.default_value("everyday")),
    mut_arg("hold_s", |arg| arg.default_value(HOLD_S)),
    mut_arg("sandbox_deliver_after_s", |arg| arg.default_value(DELIVER_AFTER_S))
)]
pub(super) struct RunArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// What is played at first.
    #[arg(long, default_value = "app/sample/sample.jsonl")]
    sample: PathBuf,
    /// Plays only so many baskets.
    #[arg(long)]
    limit: Option<usize>,
    /// An empty cell of the step table does not count: for a `--limit` too small to fill them all.
    #[arg(long)]
    allow_empty_cells: bool,
    /// What PostgreSQL alone is measured by, where psql and pgbench are installed.
    #[arg(long, default_value = "lab/yardstick")]
    yardstick: PathBuf,
    /// Ends after the report and the audit instead of serving; exit code 1 unless all is well.
    #[arg(long)]
    once: bool,
}

pub(super) async fn run(common: &Common, args: RunArgs) -> Result<ExitCode, String> {
    let config = args.serve.clone().with_faults_allowed().config(common)?;
    let mut signals = StopSignals::listen()?;
    let Some(shop) = serve::start(config, std::convert::identity, &mut signals).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    mention!("the shop is open: {}  (admin {})", shop.running.api, shop.running.admin);
    let code = match begin(common, &shop, &args, &mut signals).await {
        Ok(code) => code,
        Err(why) => {
            shop.stop().await;
            return Err(why);
        }
    };
    if args.once {
        let stopped = shop.stop().await;
        return Ok(ExitCode::from(if stopped { code } else { 1 }));
    }
    serve::until_stopped(shop, &mut signals).await
}

/// Plays the sample at the first start, says at later ones what it came to; and what to try then.
async fn begin(
    common: &Common,
    shop: &RunningShop,
    args: &RunArgs,
    signals: &mut StopSignals,
) -> Result<u8, String> {
    let last: Option<Report> =
        place::read(&common.data, replay::REPORT).map_err(|error| error.to_string())?;
    let code = match &last {
        Some(report) => again(common, report, &args.sample).map(|()| 0),
        None => tokio::select! {
            played = first(common, shop, args) => played,
            signal = signals.next() => Err(format!("{signal} in the middle of the sample; the next run goes on with it")),
        },
    }?;
    if !args.once {
        now_break_it(common, shop)?;
    }
    Ok(code)
}

/// Plays the sample, reports, audits.
async fn first(common: &Common, shop: &RunningShop, args: &RunArgs) -> Result<u8, String> {
    let mut options = replay::options(common, &shop.running, args.sample.clone())?;
    options.limit = args.limit;
    options.allow_empty_cells = args.allow_empty_cells;
    if let Some(cluster) = shop.private_cluster() {
        match yardstick::measure(cluster, &args.yardstick).await {
            Ok(per_s) => options.yardstick_per_s = Some(per_s),
            Err(why) => mention!("no yardstick: {why}"),
        }
    }
    let (code, report) = replay::play(options).await;
    let Some(report) = report else { return Err("nothing was played; see --sample".to_owned()) };
    mention!("\n{}\n", report.text());
    // Whose token is printed below has said how she is reached: the API's document shows it.
    let customer = Client::find(common)?.with_token(example_token(common)?);
    customer.send(customer.api(reqwest::Method::PUT, "/v1/customers/me").json(&example_contact())).await?;
    let client = Client::find(common)?;
    mention!("{}\n`banyan` above is {}\n", replay::mails(&client).await?, super::program(common)?);
    let audit = client.json(client.admin(reqwest::Method::POST, "/admin/audit")).await?;
    mention!("{}", super::audit::text(&audit));
    Ok(if audit.is_clean() { code } else { 1 })
}

/// What a second start says.
fn again(common: &Common, last: &Report, sample: &std::path::Path) -> Result<(), String> {
    let (banyan, size_mib) = (super::program(common)?, size_bytes(&common.data) / (1 << 20));
    mention!("\nthe last report:\n{}", last.head());
    mention!("data folder   {} ({size_mib} MiB)", common.data.display());
    mention!("start afresh  {banyan} reset");
    let sample = std::path::absolute(sample).map_err(|error| error.to_string())?;
    // A series that nobody has played: by the second.
    let run = SystemClock.now().unix_timestamp();
    mention!("play again    {banyan} replay {} --run {run}", sample.display());
    Ok(())
}

fn example_token(common: &Common) -> Result<String, String> {
    client::customer_token(&client::keys(common)?, banyan_kernel::CustomerId(EXAMPLE_CUSTOMER), TOKEN_VALID)
}

fn size_bytes(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => size_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// As it was told where to listen.
fn address(url: &str) -> &str {
    url.trim_start_matches("http://")
}

fn now_break_it(common: &Common, shop: &RunningShop) -> Result<(), String> {
    let keys = client::keys(common)?;
    let customer = example_token(common)?;
    let staff = client::staff_token(&keys, TOKEN_VALID)?;
    let (banyan, api) = (super::program(common)?, &shop.running.api);
    let sku = r#"{"lines":[{"sku":"SKU","quantity":1}],"payment_method":"pm_card_visa"}"#;
    mention!("\nin a browser: {api}/#token={staff}");
    mention!("the API to try, as staff: {api}/docs#token={staff}");
    mention!("and as a customer: {api}/docs#token={customer}\n");
    mention!("now break it (paste into another terminal):");
    mention!(
        "# place an order, and watch it\nSKU=$(curl -s '{api}/v1/products?limit=1' | grep -o '\"sku\":\"[^\"]*' | cut -d'\"' -f4); \
         {banyan} order show --watch $(curl -s {api}/v1/orders -H 'Authorization: Bearer {customer}' \
         -H \"Idempotency-Key: $(date +%s%N)\" -H 'Content-Type: application/json' \
         -d \"$(echo '{sku}' | sed s/SKU/$SKU/)\" | grep -o '\"id\":\"[^\"]*' | cut -d'\"' -f4)"
    );
    mention!(
        "# half of the gateway's answers come too late, for 30 s; an order whose stock is held no longer (--hold-s) is cancelled\n{banyan} break gateway --timeout 50% --for 30s"
    );
    mention!(
        "# kill it and start it again: it goes on where it was\nkill -9 {}; {banyan} run --listen {} --admin-listen {}",
        shop.running.pid,
        address(&shop.running.api),
        address(&shop.running.admin)
    );
    mention!("# compare everybody's books\n{banyan} audit");
    mention!("# what can be lived\nmake lab");
    mention!("\nCtrl-C stops the shop; its data stays in {}", common.data.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::{Command, FromArgMatches as _};

    use super::*;

    fn check(words: &[&str], faults: &str, hold_s: u64) {
        let command = RunArgs::augment_args(Command::new("run"));
        let matches = command.try_get_matches_from(words).expect("arguments");
        let serve = RunArgs::from_arg_matches(&matches).expect("run's arguments").serve.with_faults_allowed();
        let common = Common {
            data: PathBuf::from("."),
            config: None,
            log: "warn".parse().expect("a filter"),
            log_json: false,
        };
        let config = serve.config(&common).expect("settings");
        assert_eq!((config.sandbox_faults.as_str(), config.hold), (faults, Duration::from_secs(hold_s)));
    }

    #[test]
    fn what_it_is_told_goes_before_its_own_defaults() {
        check(&["run"], "everyday", 8);
        // Though they are serve's defaults.
        check(&["run", "--sandbox-faults", "none", "--hold-s", "900"], "none", 900);
    }
}
