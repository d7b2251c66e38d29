//! Throw-away databases for tests, on one throw-away cluster per test process.
//!
//! The cluster is on a leash: a small shell process waits for the end of its standard input, whose other end
//! the test process holds. However that process ends, the shell then stops the server and removes its folder.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{PgPool, postgres::PgConnectOptions};
use tokio::sync::OnceCell;

use crate::account::Account;
use crate::{Binaries, Cluster, ClusterConfig, Error, find};

/// Small, and ready for many pools at once.
const SMALL: [(&str, &str); 3] =
    [("shared_buffers", "64MB"), ("max_connections", "400"), ("max_wal_size", "1GB")];

/// What nobody misses when the cluster is thrown away anyway.
const NOT_DURABLE: [(&str, &str); 3] =
    [("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")];

static FORGETFUL: OnceCell<Leashed> = OnceCell::const_new();
static DURABLE: OnceCell<Leashed> = OnceCell::const_new();
static NEXT: AtomicU32 = AtomicU32::new(1);

struct Leashed {
    cluster: Cluster,
    _leash: ChildStdin,
}

/// A database of its own for one test.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    /// Its name within the cluster.
    pub name: String,
    cluster: Cluster,
}

impl TestDatabase {
    /// How a role connects to it; roles are the whole cluster's, so that tests share them.
    pub fn options(&self, user: &str) -> PgConnectOptions {
        self.cluster.options(user, &self.name)
    }

    /// How the superuser connects to it.
    pub fn superuser(&self) -> PgConnectOptions {
        self.options(self.cluster.superuser())
    }

    /// The superuser's connections to it.
    ///
    /// # Panics
    /// When it cannot be reached.
    pub async fn superuser_pool(&self) -> PgPool {
        PgPool::connect_with(self.superuser()).await.expect("the superuser")
    }

    /// The cluster, which other tests of this process use as well.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

/// A new empty database on this process's throw-away cluster, which does not wait for the disk.
///
/// # Panics
/// When there is no PostgreSQL or it fails: a test can do nothing about it.
pub async fn database() -> TestDatabase {
    new_database(&FORGETFUL, false).await
}

/// As [`database`], on a second cluster which is as durable as the shop's: for tests of what survives.
///
/// # Panics
/// When there is no PostgreSQL or it fails.
pub async fn durable_database() -> TestDatabase {
    new_database(&DURABLE, true).await
}

async fn new_database(cell: &'static OnceCell<Leashed>, durable: bool) -> TestDatabase {
    let leashed = cell.get_or_try_init(|| start(durable)).await;
    let cluster = leashed.unwrap_or_else(|error| panic!("no cluster for tests: {error}")).cluster.clone();
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let created = cluster.create_database(&name).await;
    created.unwrap_or_else(|error| panic!("no database for a test: {error}"));
    TestDatabase { name, cluster }
}

async fn start(durable: bool) -> Result<Leashed, Error> {
    let binaries = find()?;
    let folder = make_folder()?;
    let data_dir = folder.join("data");
    let leash = leash(&folder, &binaries)?;
    let forgetful = if durable { &[][..] } else { &NOT_DURABLE[..] };
    let settings = SMALL.iter().chain(forgetful).map(|(name, value)| ((*name).into(), (*value).into()));
    let config =
        ClusterConfig { settings: settings.collect(), durable, ..ClusterConfig::new(data_dir, binaries) };
    Ok(Leashed { cluster: Cluster::start(config).await?, _leash: leash })
}

/// A folder that belongs to whoever runs the server, who can therefore remove it.
fn make_folder() -> Result<PathBuf, Error> {
    let above = std::env::temp_dir();
    let failed = |error| Error::io(&above, "make a folder in", &above, error);
    let folder = tempfile::Builder::new().prefix("banyan-test-").tempdir().map_err(failed)?.keep();
    Account::for_data_dir(&folder)?.give(&folder).map_err(failed)?;
    Ok(folder)
}

/// Waits for the end of its input, lets an orphaned initdb end, since one whose files vanish leaves its shared
/// memory behind, then stops and removes, again as long as a start that was under way makes something new:
/// $1 is the folder, $2 pg_ctl.
const LEASH: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
for round in $(seq 100); do
    ps -A -o args= | grep -q "[i]nitdb.*$1" || break
    sleep 0.1
done
for round in $(seq 10); do
    "$2" stop -s -w -t 5 -m immediate -D "$1/data"
    rm -rf "$1" && sleep 0.3 && [ ! -e "$1" ] && exit 0
done
"#;

fn leash(folder: &Path, binaries: &Binaries) -> Result<ChildStdin, Error> {
    let account = Account::for_data_dir(folder)?;
    // A process group of its own: an interrupt at the terminal ends the test, not its leash.
    let mut command = account.command("sh").into_std();
    command.args(["-c", LEASH, "leash"]).arg(folder).arg(binaries.tool("pg_ctl")).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let failed = |error| Error::io(folder, "start the leash of", folder, error);
    let mut child = command.spawn().map_err(failed)?;
    Ok(child.stdin.take().expect("the leash's input was asked for as a pipe"))
}
