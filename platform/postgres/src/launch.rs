//! Starting the server on an existing cluster, or adopting the one that runs there.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tokio::process::Child;
use tokio::time::{Instant, sleep};

use crate::error::{self, Error};
use crate::postmaster::{self, Postmaster};
use crate::settings;
use crate::site::Site;
use crate::socket;

/// How often a condition outside this process is looked at.
const POLL: Duration = Duration::from_millis(10);

/// How long a directory may be in use by what is just going or just coming: the orphans of a killed server,
/// another shop that starts at the same moment.
const IN_USE_GRACE: Duration = Duration::from_secs(5);

/// A server's log is put aside at a start when it is larger; the one before that is dropped.
const LOG_LIMIT_BYTES: u64 = 16 << 20;

/// How far a server's own start time may be from the one in its file, in seconds.
const SAME_START_S: i64 = 10;

/// Where a server is reached.
#[derive(Debug, Clone)]
pub(crate) struct Running {
    pub(crate) socket_dir: PathBuf,
    pub(crate) port: u16,
    /// It ran already.
    pub(crate) adopted: bool,
}

/// Adopts the live server of the data directory, or starts one, and returns when it takes connections.
pub(crate) async fn launch(site: &Site) -> Result<Running, Error> {
    let give_up_at = Instant::now() + IN_USE_GRACE;
    loop {
        match adopt_or_start(site).await {
            Err(Error::InUse { pid: None, why, .. }) if Instant::now() < give_up_at => {
                tracing::debug!(why, "data directory in use, looking again");
                sleep(POLL * 10).await;
            }
            done => return done,
        }
    }
}

async fn adopt_or_start(site: &Site) -> Result<Running, Error> {
    match Postmaster::alive(&site.data_dir) {
        Some(found) => adopt(site, found).await,
        None => start(site).await,
    }
}

/// Adopts a live server once it says itself that it is the one of this directory.
pub(crate) async fn adopt(site: &Site, found: Postmaster) -> Result<Running, Error> {
    let pid = found.pid;
    let in_use = |why: String| Error::InUse { dir: site.data_dir.clone(), pid: Some(pid), why };
    let deadline = Instant::now() + site.ready_within;
    let ready = loop {
        match Postmaster::alive(&site.data_dir) {
            Some(now) if now.ready && now.pid == pid => break now,
            Some(now) if now.pid == pid && Instant::now() < deadline => sleep(POLL).await,
            Some(_) => return Err(in_use("it does not become ready".into())),
            // It was just ending: the next round starts a server.
            None => {
                return Err(Error::InUse { dir: site.data_dir.clone(), pid: None, why: "it ended".into() });
            }
        }
    };
    if ready.socket_dir.as_os_str().is_empty() {
        return Err(in_use("it has no Unix socket".into()));
    }
    let options = site.options(&ready.socket_dir, ready.port, &site.superuser, "postgres");
    confirm(site, &options, ready.started_at_s).await.map_err(in_use)?;
    tracing::info!(pid, dir = %site.data_dir.display(), "running PostgreSQL adopted");
    Ok(Running { socket_dir: ready.socket_dir, port: ready.port, adopted: true })
}

const WHO_ARE_YOU: &str = "SELECT current_setting('data_directory'), \
                           extract(epoch FROM pg_postmaster_start_time())::bigint";

/// Asks the server behind the socket for its directory and start time; answers why it is not the one meant.
async fn confirm(site: &Site, options: &PgConnectOptions, started_at_s: i64) -> Result<(), String> {
    let ask = async {
        let mut connection = options.connect().await?;
        let row: (String, i64) = sqlx::query_as(WHO_ARE_YOU).fetch_one(&mut connection).await?;
        connection.close().await?;
        Ok::<_, sqlx::Error>(row)
    };
    let answer = tokio::time::timeout(IN_USE_GRACE, ask).await;
    let (dir, started) =
        answer.map_err(|_| "it does not answer".to_owned())?.map_err(|error| error.to_string())?;
    if !postmaster::is_same_dir(Path::new(&dir), &site.data_dir) {
        return Err(format!("its socket leads to the server of {dir}"));
    }
    if (started - started_at_s).abs() > SAME_START_S {
        return Err("its start time is not the one in postmaster.pid".into());
    }
    Ok(())
}

async fn start(site: &Site) -> Result<Running, Error> {
    postmaster::forget_stranger(&site.data_dir);
    if site.socket_dir != site.data_dir {
        socket::prepare(&site.socket_dir, &site.account)?;
    }
    settings::write(site)?;
    let log = Log::open_at_end(site)?;
    let before = Postmaster::read(&site.data_dir);
    let mut starter = start_command(site, &log)?;
    await_ready(site, before.as_ref(), &mut starter, &log).await?;
    tracing::info!(dir = %site.data_dir.display(), major = site.binaries.major, "PostgreSQL started");
    Ok(Running { socket_dir: site.socket_dir.clone(), port: site.port, adopted: false })
}

/// `pg_ctl` gives the server a session of its own, so that no signal or end of ours reaches it.
fn start_command(site: &Site, log: &Log) -> Result<Child, Error> {
    let pg_ctl = site.binaries.tool("pg_ctl");
    let mut command = site.account.command(&pg_ctl);
    // A terminal's Ctrl-C is for the shop: pg_ctl would stop the server that it waits for.
    command.process_group(0);
    command.args(["start", "--wait", "--silent", "--timeout", &site.ready_within.as_secs().to_string()]);
    command.arg("-D").arg(&site.data_dir).arg("-l").arg(&log.path);
    // The server says nothing here but into its log; the pipes end with pg_ctl.
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    command.spawn().map_err(|error| Error::io(&site.data_dir, "run", &pg_ctl, error))
}

/// Returns at the moment when the new server's file says that it is ready; `pg_ctl` looks ten times a second
/// only, and is awaited for the case of failure.
async fn await_ready(
    site: &Site,
    before: Option<&Postmaster>,
    starter: &mut Child,
    log: &Log,
) -> Result<(), Error> {
    let mut polls = tokio::time::interval(POLL);
    loop {
        tokio::select! {
            ended = starter.wait() => match ended {
                Ok(status) if status.success() => return Ok(()),
                _ => return Err(failure(site, starter, log).await),
            },
            _ = polls.tick() => {
                let now = Postmaster::alive(&site.data_dir);
                if now.as_ref().is_some_and(|now| now.ready && Some(now) != before) {
                    return Ok(());
                }
            }
        }
    }
}

async fn failure(site: &Site, starter: &mut Child, log: &Log) -> Error {
    let mut words = log.since_opened();
    if let Some(mut stderr) = starter.stderr.take() {
        let mut said = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stderr, &mut said).await;
        words.push_str(&String::from_utf8_lossy(&said));
    }
    if words.contains("server did not start in time") {
        return Error::NotReady { dir: site.data_dir.clone(), waited_s: site.ready_within.as_secs() };
    }
    let message = error::condense(&words);
    error::from_words(&site.data_dir, &words)
        .unwrap_or_else(|| Error::StartFailed { dir: site.data_dir.clone(), message })
}

/// The server's log, and where it ended before this start.
struct Log {
    path: PathBuf,
    ended_at: u64,
}

impl Log {
    fn open_at_end(site: &Site) -> Result<Log, Error> {
        let path = site.data_dir.join("server.log");
        let mut ended_at = fs::metadata(&path).map_or(0, |found| found.len());
        if ended_at > LOG_LIMIT_BYTES {
            let failed = |error| Error::io(&site.data_dir, "put aside", &path, error);
            fs::rename(&path, path.with_extension("log.1")).map_err(failed)?;
            ended_at = 0;
        }
        Ok(Log { path, ended_at })
    }

    /// What was written since, at most the first 64 KiB.
    fn since_opened(&self) -> String {
        let read = || -> io::Result<Vec<u8>> {
            let mut file = fs::File::open(&self.path)?;
            file.seek(SeekFrom::Start(self.ended_at))?;
            let mut written = Vec::new();
            file.take(64 << 10).read_to_end(&mut written)?;
            Ok(written)
        };
        String::from_utf8_lossy(&read().unwrap_or_default()).into_owned()
    }
}
