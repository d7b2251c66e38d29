//! A folder for one test's cluster, and this test program run again as another process.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use banyan_postgres::{Cluster, ClusterConfig, Error, find};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};
use sqlx::{ConnectOptions, Connection};

/// A folder that vanishes with its server at the end of the test, also of a failed one.
pub struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    pub fn new() -> Scratch {
        let folder = tempfile::Builder::new().prefix("banyan-scratch-").tempdir().unwrap();
        // As /tmp: the server's user passes through, and removes what is its own.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        Scratch { folder }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn data_dir(&self) -> PathBuf {
        self.path().join("data")
    }

    pub async fn start(&self) -> Result<Cluster, Error> {
        Cluster::start(config(&self.data_dir())).await
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.path()).into_iter().flatten().flatten() {
            if let Some(pid) = server_of(&entry.path()) {
                let _ = kill(pid, Signal::SIGQUIT);
                wait_for("the server's end", || !is_alive(pid));
            }
        }
        wait_for("the end of orphaned initdbs", || !is_named_by_anyone(self.path()));
    }
}

/// Durable settings, as a shop's, but for the sync of initdb, which takes long on a busy disk.
pub fn config(data_dir: &Path) -> ClusterConfig {
    ClusterConfig { durable: false, ..ClusterConfig::new(data_dir, find().unwrap()) }
}

pub fn server_of(data_dir: &Path) -> Option<Pid> {
    let file = fs::read_to_string(data_dir.join("postmaster.pid")).ok()?;
    file.lines().next()?.parse().ok().map(Pid::from_raw)
}

/// Neither gone nor a zombie that nobody has reaped.
pub fn is_alive(pid: Pid) -> bool {
    let listed = Command::new("ps").args(["-o", "stat=", "-p", &pid.to_string()]).output().unwrap();
    let state = String::from_utf8_lossy(&listed.stdout).trim().to_owned();
    !state.is_empty() && !state.starts_with('Z')
}

/// Whether a process was told this folder: an initdb whose parent was killed works on.
fn is_named_by_anyone(folder: &Path) -> bool {
    let listed = Command::new("ps").args(["-A", "-ww", "-o", "args="]).output().unwrap();
    let told = String::from_utf8_lossy(&listed.stdout);
    told.lines().any(|line| line.contains("initdb") && line.contains(&*folder.to_string_lossy()))
}

pub fn is_root() -> bool {
    geteuid().is_root()
}

/// Polls a condition outside this process for at most 30 s.
pub fn wait_for(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition() {
        assert!(Instant::now() < deadline, "waited 30 s for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Runs one ignored test of this program as a process of its own, told `argument`, which is also where
/// it puts temporary files when it is a folder.
pub fn run_again(test: &str, argument: &Path) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--ignored", "--nocapture"]).env("SCRATCH", argument);
    if argument.is_dir() {
        command.env("TMPDIR", argument);
    }
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// What [`run_again`] told.
pub fn argument() -> PathBuf {
    PathBuf::from(std::env::var_os("SCRATCH").expect("only run by another test"))
}

pub async fn ask(cluster: &Cluster, sql: &'static str) -> String {
    let mut connection = cluster.options("postgres", "postgres").connect().await.unwrap();
    let answer = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    answer
}

pub async fn tell(cluster: &Cluster, sql: &'static str) {
    let mut connection = cluster.options("postgres", "postgres").connect().await.unwrap();
    sqlx::raw_sql(sql).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}
