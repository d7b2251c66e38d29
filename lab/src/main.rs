//! `lab`: the rows that can be lived. Each says what will happen, does it on real processes, prints a figure
//! and the file to read. With `--without PART` a guarantee is taken out by lab's own composition root, and
//! what it was for is seen to break.

mod bench;
mod scenarios;
mod taken_apart;

use std::{panic::AssertUnwindSafe, process::ExitCode, time::Duration};

use banyan_lab::bad_day::{Fault, Shape};
use clap::{Parser, Subcommand};
use futures::FutureExt;
use scenarios::{Cast, ROWS, Row, Shown};
use tokio::time::Instant;

/// Commands of `banyan` that lab takes as well, over its own composition root.
const OF_BANYAN: [&str; 9] =
    ["serve", "sandbox", "token", "audit", "break", "mend", "order", "replay", "postgres"];
/// Then a row has failed, whatever it waits for.
const ROW_TIME_MAX: Duration = Duration::from_secs(180);

/// The rows that can be lived: a row by its name, or all of them.
#[derive(Parser)]
#[command(name = "lab", max_term_width = 110, args_conflicts_with_subcommands = true)]
struct Lab {
    #[command(subcommand)]
    command: Option<Command>,
    /// Which row: C4. All of them, unless told.
    row: Option<String>,
    /// Takes this guarantee out, to see what it was for.
    #[arg(long, requires = "row", value_name = "PART")]
    without: Option<String>,
    /// Draws whom faults hit.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Prints every row with each of its guarantees, one command line each, and ends.
    #[arg(long)]
    cells: bool,
}

#[derive(Subcommand)]
enum Command {
    /// The shop beside PostgreSQL alone, in interleaved slices.
    Bench(bench::BenchArgs),
    /// The whole shop in parts: Kafka, PostgreSQL, the sandbox, six services and their front, until Ctrl-C.
    Services(taken_apart::ServicesArgs),
    /// A shop of some shape, customers of every kind, and something that goes wrong amid it; in the end everything must be true.
    BadDay(BadDayArgs),
}

#[derive(clap::Args)]
struct BadDayArgs {
    /// local, kafka, inventory-out, gateways-out, all-out or all-out-twice.
    shape: Shape,
    /// What goes wrong: kill-orders, database, broker-frozen, cut-inventory, ...; a wrong one names all of the shape.
    fault: String,
}

fn main() -> ExitCode {
    let first = std::env::args().nth(1).unwrap_or_default();
    match first.as_str() {
        "member" => scenarios::member::main(),
        "carried" => scenarios::carried::main(),
        command if OF_BANYAN.contains(&command) => {
            banyan::cli::main_with(std::env::args_os(), scenarios::parts::swap())
        }
        _ => lab(Lab::parse()),
    }
}

fn lab(args: Lab) -> ExitCode {
    std::panic::set_hook(Box::new(|panic| eprintln!("    {panic}")));
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    match (args.command, &args.row) {
        (Some(Command::Bench(args)), _) => runtime.block_on(bench::bench(args)),
        (Some(Command::BadDay(args)), _) => match args.shape.fault(&args.fault) {
            Ok(fault) => runtime.block_on(bad_day(args.shape, fault)),
            Err(why) => fail(&why),
        },
        (Some(Command::Services(args)), _) => runtime.block_on(taken_apart::services(args)),
        (None, _) if args.cells => {
            cells().iter().for_each(|cell| println!("{cell}"));
            ExitCode::SUCCESS
        }
        (None, Some(name)) => match find(name, args.without.as_deref()) {
            Ok((row, without)) => code(runtime.block_on(play(row, Cast { seed: args.seed, without })).1),
            Err(why) => fail(&why),
        },
        (None, None) => runtime.block_on(all(args.seed)),
    }
}

/// A failed use: a wrong name.
fn fail(why: &str) -> ExitCode {
    eprintln!("lab: {why}");
    ExitCode::from(2)
}

fn code(well: bool) -> ExitCode {
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says in a line what came of it; what is not true panics.
async fn bad_day(shape: Shape, fault: Fault) -> ExitCode {
    let played = AssertUnwindSafe(banyan_lab::bad_day::play(shape, fault)).catch_unwind().await;
    match played {
        Ok(Ok(outcome)) => {
            let ended: Vec<_> =
                outcome.ended.iter().map(|(state, count)| format!("{count} {state}")).collect();
            let seconds = outcome.recovered_in.as_secs_f64();
            println!("{shape}, {fault}: {}; the last {seconds:.1} s after; audit clean", ended.join(", "));
            ExitCode::SUCCESS
        }
        Ok(Err(why)) => fail(&why),
        Err(_) => ExitCode::FAILURE,
    }
}

fn bad_days() -> impl Iterator<Item = String> {
    let of = |shape: Shape| shape.faults().into_iter().map(move |fault| format!("bad-day {shape} {fault}"));
    Shape::ALL.into_iter().flat_map(of)
}

fn cells() -> Vec<String> {
    let with_parts = |row: &Row| {
        let parts = row.without.iter().map(|(part, _)| format!("{} --without {part}", row.name));
        std::iter::once(row.name.to_owned()).chain(parts).collect::<Vec<_>>()
    };
    ROWS.iter().flat_map(with_parts).chain(bad_days()).collect()
}

fn find(name: &str, without: Option<&str>) -> Result<(&'static Row, Option<&'static str>), String> {
    let names = || ROWS.iter().map(|row| row.name).collect::<Vec<_>>().join(" ");
    let row = ROWS.iter().find(|row| row.name.eq_ignore_ascii_case(name));
    let row = row.ok_or_else(|| format!("there is no row {name:?} yet; there are {}", names()))?;
    let Some(wanted) = without else { return Ok((row, None)) };
    let parts = || row.without.iter().map(|(part, _)| *part).collect::<Vec<_>>();
    let part = parts().into_iter().find(|part| *part == wanted);
    let none = || format!("{} has no {wanted:?} to take out; it has {:?}", row.name, parts());
    part.map(|part| (row, Some(part))).ok_or_else(none)
}

/// Plays a row, and tells what came of it: a figure, and whether it was as said.
async fn play(row: &Row, cast: Cast) -> (String, bool) {
    println!("{}  {}", row.name, row.title);
    row.says.iter().for_each(|line| println!("    {line}"));
    if let Some((part, predicted)) = row.without.iter().find(|(part, _)| Some(*part) == cast.without) {
        println!("    without {part}: {predicted}");
    }
    let begun = Instant::now();
    // What fails on a stage panics; the stage is cleared on the way out.
    let acts = AssertUnwindSafe((row.play)(cast)).catch_unwind();
    let shown = match tokio::time::timeout(ROW_TIME_MAX, acts).await {
        Ok(Ok(shown)) => shown,
        Ok(Err(_)) => Shown { figure: "it broke off, see above".to_owned(), as_said: false },
        Err(_) => Shown { figure: format!("no end within {ROW_TIME_MAX:?}"), as_said: false },
    };
    let word = match (shown.as_said, cast.without) {
        (true, None) => "holds",
        (true, Some(_)) => "broke, as said",
        (false, None) => "DOES NOT HOLD",
        (false, Some(_)) => "DID NOT BREAK AS SAID",
    };
    println!("    {word}: {}", shown.figure);
    println!("    read {}  ({:.1} s)\n", row.file, begun.elapsed().as_secs_f64());
    (shown.figure, shown.as_said)
}

async fn all(seed: u64) -> ExitCode {
    let mut table = Vec::new();
    for row in ROWS {
        let (figure, well) = play(row, Cast { seed, without: None }).await;
        table.push((row, figure, well));
    }
    println!("row  holds  figure");
    for (row, figure, well) in &table {
        println!("{:<4} {:<6} {figure}", row.name, if *well { "yes" } else { "NO" });
    }
    let parts: usize = ROWS.iter().map(|row| row.without.len()).sum();
    println!("\n{parts} guarantees can be taken out: lab --cells names them");
    code(table.iter().all(|(_, _, well)| *well))
}
