//! `lab bench`: the shop beside PostgreSQL alone, on the same server, in interleaved slices. It prints what it
//! finds; no time is asserted.

mod load;
mod measure;
mod rows;
mod traces;
mod yardstick;

use std::{path::PathBuf, process::ExitCode};

use banyan_lab::stage::{ShopOptions, ShopProcess, Stage, program};
use banyan_store::sqlx;
use clap::Args;
use load::Load;
use measure::{Meter, Spent};
use yardstick::Yardstick;

/// What the shop should reach of the yardstick.
const GOAL: f64 = 0.35;
/// What the yardstick's README says an order of it takes.
const YARDSTICK_WAL_KB: f64 = 6.0;
const COUNTS: &str = "select count(*), count(*) filter (where state = 'shipped') from orders.orders";

/// The shop beside PostgreSQL alone, in interleaved slices.
#[derive(Args)]
pub struct BenchArgs {
    /// How many slices of each.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=100))]
    slices: u32,
    /// How long each takes orders.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: u64,
    /// Requests in flight.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u16).range(1..=1024))]
    in_flight: u16,
    /// Measures the rows of 1,000 orders and ends.
    #[arg(long)]
    rows: bool,
    /// Measures what traces cost, beside a shop that sends none, and ends.
    #[arg(long)]
    traces: bool,
}

/// One slice.
struct Slice {
    per_s: f64,
    spent: Spent,
    orders: f64,
}

/// Runs it.
pub async fn bench(args: BenchArgs) -> ExitCode {
    let stage = Stage::of(fastest());
    if args.traces {
        traces::compare(&stage, &args).await;
        return ExitCode::SUCCESS;
    }
    let shop = stage.shop("shop", ShopOptions::default()).await;
    let load = Load::new(&shop, args.in_flight).await;
    if args.rows {
        rows::table(&shop, &load).await;
        return ExitCode::SUCCESS;
    }
    let yardstick = Yardstick::new(&shop).await;
    if let Err(why) = &yardstick {
        println!("no yardstick: {why}");
    }
    println!(
        "slice        who        orders/s  WAL bytes/order  xids/order  CPU ms/order: shop, postgres, sandbox, load"
    );
    let (mut alone, mut whole) = (Vec::new(), Vec::new());
    for n in 1..=args.slices {
        if let Ok(yardstick) = &yardstick {
            alone.push(print(n, "yardstick", of_yardstick(&stage, &shop, yardstick, args.seconds).await));
        }
        whole.push(print(n, "shop", of_shop(&stage, &shop, &load, args.seconds).await));
    }
    let (placed, shipped): (i64, i64) =
        sqlx::query_as(COUNTS).fetch_one(&shop.superuser_pool()).await.expect("the orders");
    println!("{shipped} of {placed} orders shipped");
    conclude(&alone, &whole);
    if shipped == placed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The one that `BANYAN_BIN` names, or the release build, if there is one.
fn fastest() -> PathBuf {
    let release = PathBuf::from("target/release/banyan");
    let unnamed = std::env::var_os("BANYAN_BIN").is_none();
    let release = (unnamed && release.is_file()).then(|| std::path::absolute(release).ok()).flatten();
    let found = release.unwrap_or_else(program);
    println!(
        "the shop: {}",
        found.strip_prefix(std::env::current_dir().unwrap_or_default()).unwrap_or(&found).display()
    );
    found
}

async fn of_yardstick(stage: &Stage, shop: &ShopProcess, yardstick: &Yardstick, seconds: u64) -> Slice {
    let meter = Meter::read(stage, shop).await;
    let per_s = yardstick.slice(seconds).await;
    let spent = Meter::read(stage, shop).await.since(&meter);
    Slice { per_s, spent, orders: per_s * seconds as f64 }
}

async fn of_shop(stage: &Stage, shop: &ShopProcess, load: &Load, seconds: u64) -> Slice {
    let meter = Meter::read(stage, shop).await;
    let (orders, took) = load.slice(std::time::Duration::from_secs(seconds)).await;
    let spent = Meter::read(stage, shop).await.since(&meter);
    Slice { per_s: orders as f64 / took.as_secs_f64(), spent, orders: orders as f64 }
}

fn print(n: u32, who: &str, slice: Slice) -> Slice {
    let Slice { per_s, spent, orders } = &slice;
    let cpu = spent.cpu_ms.map(|ms| format!("{:.2}", ms / orders)).join(", ");
    let (wal, xids) = (spent.wal_bytes / orders, spent.xids / orders);
    println!("{n:<12} {who:<10} {per_s:>8.0}  {wal:>15.0}  {xids:>10.2}  {cpu}");
    slice
}

/// Of nothing: no number.
fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn conclude(alone: &[Slice], whole: &[Slice]) {
    let shop = median(whole.iter().map(|slice| slice.per_s));
    let wal = median(whole.iter().map(|slice| slice.spent.wal_bytes / slice.orders));
    println!(
        "shop         {shop:.0} orders/s, {:.1} KB of WAL per order beside the yardstick's ~{YARDSTICK_WAL_KB} KB",
        wal / 1e3
    );
    if !alone.is_empty() {
        println!("yardstick    {:.0} orders/s", median(alone.iter().map(|slice| slice.per_s)));
        let ratios = alone.iter().zip(whole).map(|(alone, whole)| whole.per_s / alone.per_s);
        println!(
            "ratio        {:.2} (median of {} pairs; goal {GOAL})",
            median(ratios),
            alone.len().min(whole.len())
        );
    }
    let total: f64 = whole.iter().flat_map(|slice| slice.spent.cpu_ms).sum();
    let share = |at: usize| 100.0 * whole.iter().map(|slice| slice.spent.cpu_ms[at]).sum::<f64>() / total;
    println!(
        "CPU          shop {:.0} %, postgres {:.0} %, sandbox {:.0} %, load {:.0} %",
        share(0),
        share(1),
        share(2),
        share(3)
    );
}
