//! `banyan run`: the shop with the sample played into it at first, a report, and five things to try.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Args;

use super::{
    Common,
    client::{self, Client},
    replay,
    serve::{self, ServeArgs},
    yardstick,
};
use crate::{place, replay::Report, shop::RunningShop};

/// So that the sample's slow card, which takes 12 s, meets an expired hold.
const HOLD_S: u64 = 8;
const TOKEN_VALID: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The development run.
#[derive(Args, Clone)]
pub(super) struct RunArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// What is played at first.
    #[arg(long, default_value = "app/sample/sample.jsonl")]
    sample: PathBuf,
    /// Plays only so many baskets.
    #[arg(long)]
    limit: Option<usize>,
    /// What PostgreSQL alone is measured by, where psql and pgbench are installed.
    #[arg(long, default_value = "lab/yardstick")]
    yardstick: PathBuf,
    /// Ends after the report and the audit instead of serving; exit code 1 unless all is well.
    #[arg(long)]
    once: bool,
}

pub(super) async fn run(common: &Common, args: RunArgs) -> Result<ExitCode, String> {
    let config = args.serve.clone().with_everyday_faults().with_hold(HOLD_S).config(common)?;
    let shop = RunningShop::start(config, std::convert::identity).await.map_err(|error| error.to_string())?;
    mention!("the shop is open: {}  (admin {})", shop.running.api, shop.running.admin);
    let last: Option<Report> =
        place::read(&common.data, replay::REPORT).map_err(|error| error.to_string())?;
    let code = match &last {
        Some(report) => {
            again(common, report, &args.sample)?;
            0
        }
        None => {
            let played = tokio::select! {
                played = first(common, &shop, &args) => played,
                signal = serve::stop_signal() => Err(format!("{signal} in the middle of the sample; `banyan replay` resumes it")),
            };
            match played {
                Ok(code) => code,
                Err(why) => {
                    shop.stop().await;
                    return Err(why);
                }
            }
        }
    };
    if args.once {
        let stopped = shop.stop().await;
        return Ok(ExitCode::from(if stopped { code } else { 1 }));
    }
    now_break_it(common, &shop)?;
    serve::until_stopped(shop).await
}

/// Plays the sample, reports, audits.
async fn first(common: &Common, shop: &RunningShop, args: &RunArgs) -> Result<u8, String> {
    let mut options = replay::options(common, &shop.running, args.sample.clone())?;
    options.limit = args.limit;
    if let Some(cluster) = shop.private_cluster() {
        match yardstick::measure(cluster, &args.yardstick).await {
            Ok(per_s) => options.yardstick_per_s = Some(per_s),
            Err(why) => mention!("no yardstick: {why}"),
        }
    }
    let (code, report) = replay::play(options).await;
    if let Some(report) = report {
        mention!("\n{}\n", report.text());
    }
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
    mention!("play again    {banyan} replay {} --run {}", sample.display(), last.run + 1);
    Ok(())
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

fn now_break_it(common: &Common, shop: &RunningShop) -> Result<(), String> {
    let keys = client::keys(common)?;
    let customer = banyan_kernel::CustomerId(uuid::Uuid::from_u128(1));
    let customer = client::customer_token(&keys, customer, TOKEN_VALID)?;
    let staff = client::staff_token(&keys, TOKEN_VALID)?;
    let (banyan, api) = (super::program(common)?, &shop.running.api);
    let sku = r#"{"lines":[{"sku":"SKU","quantity":1}],"payment_method":"pm_card_visa"}"#;
    mention!("\nin a browser: {api}/#token={staff}");
    mention!("the API to try: {api}/docs#token={staff}\n");
    mention!("now break it (paste into another terminal):");
    mention!(
        "# place an order, and watch it\nSKU=$(curl -s '{api}/v1/products?limit=1' | grep -o '\"sku\":\"[^\"]*' | cut -d'\"' -f4); \
         {banyan} order show --watch $(curl -s {api}/v1/orders -H 'Authorization: Bearer {customer}' \
         -H \"Idempotency-Key: $(date +%s%N)\" -H 'Content-Type: application/json' \
         -d \"$(echo '{sku}' | sed s/SKU/$SKU/)\" | grep -o '\"id\":\"[^\"]*' | cut -d'\"' -f4)"
    );
    mention!(
        "# half of the gateway's answers come too late, for 30 s\n{banyan} break gateway --timeout 50% --for 30s"
    );
    mention!(
        "# kill it and start it again: it goes on where it was\nkill -9 {}; {banyan} run",
        shop.running.pid
    );
    mention!("# compare everybody's books\n{banyan} audit");
    mention!("# what can be lived\nmake lab");
    mention!("\nCtrl-C stops the shop; its data stays in {}", common.data.display());
    Ok(())
}
