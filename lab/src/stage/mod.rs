//! The stage: real shops, each with its own PostgreSQL and sandbox, in a folder of its own.
//!
//! Nothing outlives a stage: a leash ends every process that carries the stage's mark and removes
//! its folder, when the stage is dropped and when whoever played on it is killed. What fails here panics:
//! a play can do nothing about it.

mod alone;
mod apart;
mod book;
mod client;
mod leash;
mod line;
mod load;
pub mod process;
mod seed;
mod shop;
mod shoppers;
mod unleash;
mod wait;

use std::{
    collections::BTreeSet,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Mutex, PoisonError},
    time::Duration,
};

pub use alone::{Addresses, ServiceProcess};
pub use apart::{Apart, Databases, MODULES, Plan};
pub use book::{Effects, Outside};
pub use client::{Answer, ShopClient};
pub use line::{Line, Quality};
pub use load::{Sample, Wish, violations};
pub use seed::Seed;
pub use shop::{ShopOptions, ShopProcess};
pub use shoppers::{Shopped, Shoppers};
pub use unleash::Unleash;
pub use wait::{until, within};

use leash::Leash;

/// The mark that each process of a stage carries in its environment; the value is the stage's folder.
pub const MARK: &str = "BANYAN_STAGE";
/// Ports of shops: below those that the kernel hands to clients, so that a port stays free while its shop is
/// down.
const PORTS: std::ops::Range<u64> = 15_000..32_000;
/// How long a command of `banyan` may take.
const COMMAND: Duration = Duration::from_secs(180);

/// A temporary folder with shops in it.
pub struct Stage {
    program: PathBuf,
    leash: Leash,
}

impl Stage {
    /// An empty one.
    ///
    /// # Panics
    /// Without a `banyan` to run, see [`program`], or a folder to make.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a stage is a folder and a process, no default value")]
    pub fn new() -> Self {
        Self::of(program())
    }

    /// An empty one, on which another program plays that takes `banyan`'s commands.
    ///
    /// # Panics
    /// Without a folder to make.
    #[must_use]
    pub fn of(program: PathBuf) -> Self {
        Self { program, leash: Leash::new() }
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.leash.folder()
    }

    /// Starts a shop in a data folder of that name and returns when it is open.
    ///
    /// # Panics
    /// When it does not open.
    pub async fn shop(&self, name: &str, options: ShopOptions) -> ShopProcess {
        let data = self.folder().join(name);
        for _ in 0..4 {
            match ShopProcess::start(self, data.clone(), options.clone()).await {
                Ok(shop) => return shop,
                Err(why) if why.contains("cannot listen on") => {}
                Err(why) => panic!("shop {name} did not open: {why}"),
            }
        }
        panic!("shop {name} found no free ports");
    }

    /// A command of `banyan`, not yet run, that carries the stage's mark and none of our own settings.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        marked(&self.program, self.folder(), args)
    }

    /// Runs a command of `banyan` to its end.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn banyan(&self, args: &[&str]) -> Output {
        run(self.command(args)).await
    }

    /// The processes of this stage: whoever carries its mark, and the databases' servers.
    #[must_use]
    pub fn processes(&self) -> Vec<i32> {
        process::of_folder(self.folder())
    }
}

/// A command with the stage's mark, and without the settings that a shop would take from our environment.
pub(crate) fn marked(program: &Path, folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(args).stdin(std::process::Stdio::null());
    let ours = |name: &str| {
        ["BANYAN_", "OTEL_", "PG"].iter().any(|ours| name.starts_with(ours)) || name == "DATABASE_URL"
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(ours)) {
        command.env_remove(name);
    }
    command.env(MARK, folder);
    command
}

/// Runs a command to its end, off the runtime's own threads' time.
pub(crate) async fn run(command: Command) -> Output {
    let what = format!("{command:?}");
    let mut command = tokio::process::Command::from(command);
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped()).kill_on_drop(true);
    let output = tokio::time::timeout(COMMAND, command.output()).await;
    let output = output.unwrap_or_else(|_| panic!("{what} did not end within {COMMAND:?}"));
    output.unwrap_or_else(|error| panic!("{what} did not start: {error}"))
}

/// The `banyan` to play with: `BANYAN_BIN`, or the one beside this program. Nothing is built here.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn program() -> PathBuf {
    if let Some(named) = std::env::var_os("BANYAN_BIN") {
        let named = std::path::absolute(named).expect("a path");
        assert!(named.is_file(), "BANYAN_BIN names {}, which is no file", named.display());
        return named;
    }
    let me = std::env::current_exe().expect("the path of this program");
    let beside = me.ancestors().skip(1).take(2).map(|folder| folder.join("banyan"));
    let found = beside.clone().find(|program| program.is_file());
    found.unwrap_or_else(|| {
        let places: Vec<_> = beside.map(|place| place.display().to_string()).collect();
        panic!("no banyan in {}: cargo build -p banyan, or set BANYAN_BIN", places.join(" or "))
    })
}

/// A port that is free now, and that nobody else here was given: whoever got one may listen there only later.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let mut seed = Seed::unforeseen();
    let mut given = GIVEN.lock().unwrap_or_else(PoisonError::into_inner);
    let drawn = std::iter::repeat_with(|| (PORTS.start + seed.below(PORTS.end - PORTS.start)) as u16);
    let free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok() && given.insert(*port);
    drawn.take(1_000).find(free).expect("a free port among a thousand")
}
