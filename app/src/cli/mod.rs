//! The command line. Every command but `serve`, `run`, `sandbox`, `service-key`, `backup` and `restore` is a client of a running shop and
//! needs no database: it finds the shop's addresses and key in the data folder.

#[macro_use]
mod out;

mod audit;
mod backup;
mod client;
mod dead_letters;
mod faults;
mod flags;
mod forget;
mod mails;
mod order;
mod rebuild;
mod replay;
mod reset;
mod route;
mod run;
mod sandbox;
mod serve;
mod service_key;
mod settings;
mod status;
mod stock;
mod token;
mod topics;
mod yardstick;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    process::ExitCode,
};

use banyan_host::{LogFilter, LogFormat, Telemetry, TraceSettings};
use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand, error::ErrorKind};

use crate::{compose::Swap, config::default_data_dir};

/// Open files: connections of both listeners, of pools and gateways.
const FILES_MAX: u64 = 65_536;

/// A shop you can take apart while it is open.
#[derive(Parser)]
#[command(name = "banyan", version, about, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Args, Clone)]
pub(crate) struct Common {
    /// The data folder: keys, addresses, private PostgreSQL, the sandbox's book.
    #[arg(long, env = "BANYAN_DATA", global = true, default_value_os_t = default_data_dir(), value_name = "DIR")]
    data: PathBuf,
    /// A file of settings: each an argument of `serve` by its name, `pool = 8`. The data folder's `banyan.toml`, if it is there.
    #[arg(long, env = "BANYAN_CONFIG", global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// What is logged to stderr (`RUST_LOG`'s syntax).
    #[arg(long, env = "BANYAN_LOG", global = true, default_value = "warn", value_name = "FILTER")]
    log: LogFilter,
    /// Log lines as JSON objects.
    #[arg(long, env = "BANYAN_LOG_JSON", global = true)]
    log_json: bool,
}

#[derive(Subcommand)]
enum Command {
    /// Runs the shop until Ctrl-C.
    Serve(serve::ServeArgs),
    /// Runs the shop, plays the sample into it at first, reports, and serves until Ctrl-C.
    Run(run::RunArgs),
    /// Prints the settings of `serve` that are in force, and where each comes from; refuses what `serve` would.
    Config(settings::ConfigArgs),
    /// Runs the outside world: a payment gateway and a carrier.
    Sandbox(sandbox::SandboxArgs),
    /// Plays a file of baskets into a running shop as its customers would.
    Replay(replay::ReplayArgs),
    /// Prints a bearer token.
    Token(token::TokenArgs),
    /// Makes a new key for tokens; those of the one before it stay valid until the next rotation.
    RotateKey,
    /// Makes the key that a process signs its calls of others with.
    ServiceKey(service_key::ServiceKeyArgs),
    /// Looks at one order, or gets it going again.
    #[command(subcommand)]
    Order(order::OrderCommand),
    /// Looks at a product's stock: where did it come from, where did it go?
    #[command(subcommand)]
    Stock(stock::StockCommand),
    /// Mails: how many wait, how many were refused; has those sent again.
    #[command(subcommand)]
    Mails(mails::MailsCommand),
    /// Judges what must always be true; exit code 1 when something is not.
    Audit(audit::AuditArgs),
    /// Turns a fault of the outside up for a while (a shop with --allow-faults).
    Break(faults::BreakArgs),
    /// Ends all faults that `break` began.
    Mend,
    /// Events that could not be applied: see, replay, drop.
    #[command(subcommand)]
    Dlq(dead_letters::DeadLetterCommand),
    /// All processes, the shop's own and those of modules that are elsewhere: ready, breakers, slots, lag; each second anew.
    Status(status::StatusArgs),
    /// The flags that the shop reads: what holds, who looks after each, since when, where it is read.
    Flags(flags::FlagsArgs),
    /// Where a module's items go that is in this process and in one of its own: shows it, turns it, walks it.
    Route(route::RouteArgs),
    /// The topics of a shop on Kafka: partitions, how long records are kept, who reads them, how far behind.
    Topics(topics::TopicsArgs),
    /// Folds a read model anew while it is read, and turns it over when it is equal to an independent fold.
    Rebuild(rebuild::RebuildArgs),
    /// Forgets a person.
    Forget(forget::ForgetArgs),
    /// Copies a running shop's private database into a file.
    Backup(backup::BackupArgs),
    /// Puts such a copy in the place of a stopped shop's private database.
    Restore(backup::RestoreArgs),
    /// Prints which PostgreSQL server a private database would run on.
    Postgres,
    /// Deletes a stopped shop's data folder.
    Reset(reset::ResetArgs),
}

/// Parses the program's arguments, runs, and says in one line what went wrong.
#[must_use]
pub fn main() -> ExitCode {
    main_with(std::env::args_os(), std::convert::identity)
}

/// As [`main`], over these arguments; a shop that is served is wired as `swap` hands its parts on.
#[must_use]
pub fn main_with(args: impl IntoIterator<Item = OsString>, swap: Swap) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    let file = match settings::File::find(&args) {
        Ok(file) => file,
        Err(why) => return misused(&why),
    };
    let parsed = file.command().try_get_matches_from(&args);
    let (cli, given) = match parsed.and_then(|given| Ok((Cli::from_arg_matches(&given)?, given))) {
        Ok(parsed) => parsed,
        Err(error) => return explain(&error, &file, &args),
    };
    let serves = matches!(cli.command, Command::Serve(_) | Command::Run(_) | Command::Config(_));
    if let Err(why) = settings::check_environment()
        && serves
    {
        return misused(&why);
    }
    if serves && let Err(why) = settings::check_typed(&given) {
        return misused(&why);
    }
    let format = if cli.common.log_json { LogFormat::Json } else { LogFormat::Text };
    let traces =
        if serves { TraceSettings::read("banyan", |name| std::env::var(name).ok()) } else { Ok(None) };
    let traces = match traces {
        Ok(traces) if !matches!(cli.command, Command::Config(_)) => traces,
        Ok(_) => None,
        Err(why) => return misused(&why),
    };
    let telemetry = match Telemetry::start(format, &cli.common.log, traces) {
        Ok(telemetry) => telemetry,
        Err(why) => return fail(&why),
    };
    raise_file_limit();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&error.to_string()),
    };
    let code = runtime.block_on(execute(cli, (&file, &given), swap));
    let code =
        code.unwrap_or_else(|error| fail(&if serves { file.in_their_words(&args, &error) } else { error }));
    runtime.shutdown_background();
    telemetry.stop();
    code
}

async fn execute(
    cli: Cli,
    (file, given): (&settings::File, &ArgMatches),
    swap: Swap,
) -> Result<ExitCode, String> {
    let common = cli.common;
    match cli.command {
        Command::Serve(args) => serve::serve(&common, args, swap).await,
        Command::Run(args) => run::run(&common, args).await,
        Command::Config(args) => settings::config((file, given), &common, &args),
        Command::Sandbox(args) => sandbox::sandbox(args).await,
        Command::Replay(args) => replay::replay(&common, args).await,
        Command::Token(args) => token::token(&common, &args),
        Command::RotateKey => token::rotate_key(&common),
        Command::ServiceKey(args) => service_key::service_key(&args),
        Command::Order(command) => order::order(&common, command).await,
        Command::Stock(command) => stock::stock(&common, command).await,
        Command::Mails(command) => mails::mails(&common, command).await,
        Command::Audit(args) => audit::audit(&common, &args).await,
        Command::Break(args) => faults::turn_up(&common, &args).await,
        Command::Mend => faults::mend(&common).await,
        Command::Dlq(command) => dead_letters::dead_letters(&common, command).await,
        Command::Status(args) => status::status(&common, args).await,
        Command::Flags(args) => flags::flags(&common, args).await,
        Command::Route(args) => route::route(&common, args).await,
        Command::Topics(args) => topics::topics(&common, args).await,
        Command::Rebuild(args) => rebuild::rebuild(&common, args).await,
        Command::Forget(args) => forget::forget(&common, args).await,
        Command::Backup(args) => backup::backup(&common, &args).await,
        Command::Restore(args) => backup::restore(&common, &args).await,
        Command::Postgres => postgres(&common),
        Command::Reset(args) => reset::reset(&common, &args),
    }
}

/// A connection is an open file, and the usual limit is for programs that serve nobody. What is not allowed stays.
fn raise_file_limit() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    if let Ok((_, hard)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard.min(FILES_MAX), hard);
    }
}

/// This program on this data folder, to be pasted into a shell.
fn program(common: &Common) -> Result<String, String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let data = std::path::absolute(&common.data).map_err(|error| error.to_string())?;
    Ok(format!("{} --data {}", quoted(&program), quoted(&data)))
}

/// As one word of a shell, whatever is in it.
fn quoted(path: &Path) -> String {
    let path = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+@%".contains(c);
    if path.chars().all(plain) { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

fn postgres(common: &Common) -> Result<ExitCode, String> {
    let found =
        banyan_postgres::find_for(&common.data.join("postgres")).map_err(|error| error.to_string())?;
    say!("PostgreSQL {} in {}", found.major, found.bin_dir.display());
    Ok(ExitCode::SUCCESS)
}

/// Help is printed whole; an error in one line, without clap's usage below it.
fn explain(error: &clap::Error, file: &settings::File, args: &[OsString]) -> ExitCode {
    if !error.use_stderr() || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        error.exit();
    }
    misused(&file.in_their_words(args, &sentence(error)))
}

/// What clap says, in one line.
fn sentence(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let words = text.split("\n\nUsage:").next().unwrap_or_default().split("\n\nFor more").next();
    let words: Vec<&str> = words.unwrap_or_default().split_whitespace().collect();
    format!("{}; see --help", words.join(" ").trim_start_matches("error: "))
}

fn misused(why: &str) -> ExitCode {
    fail(why);
    ExitCode::from(2)
}

fn fail(error: &str) -> ExitCode {
    complain!("banyan: {error}");
    ExitCode::FAILURE
}
