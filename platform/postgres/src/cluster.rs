//! A PostgreSQL cluster of our own: started or adopted, and stopped.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use tokio::sync::watch;

use crate::binaries::Binaries;
use crate::error::Error;
use crate::initdb;
use crate::launch::{self, Running};
use crate::postmaster::Postmaster;
use crate::site::Site;

/// What a cluster is to be; [`ClusterConfig::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct ClusterConfig {
    /// Where the data is, or will be; the directory is made when it is missing.
    pub data_dir: PathBuf,
    /// The server's binaries, as [`crate::find_for`] chooses them for the data directory.
    pub binaries: Binaries,
    /// Names and values of settings beyond ours, or in place of them; applied when the server starts, so not
    /// to one that is adopted.
    pub settings: Vec<(String, String)>,
    /// The role that owns everything; initdb makes it.
    pub superuser: String,
    /// Files are synced when the cluster is made. The server's own durability is a matter of `settings`.
    pub durable: bool,
    /// How long a start may take, recovery after a crash included.
    pub ready_within: Duration,
}

impl ClusterConfig {
    /// A durable cluster with our settings, ready within two minutes, owned by the role `postgres`.
    pub fn new(data_dir: impl Into<PathBuf>, binaries: Binaries) -> ClusterConfig {
        ClusterConfig {
            data_dir: data_dir.into(),
            binaries,
            settings: Vec::new(),
            superuser: "postgres".to_owned(),
            durable: true,
            ready_within: Duration::from_secs(120),
        }
    }
}

/// How a server is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StopMode {
    /// Connections are ended, transactions rolled back, and a checkpoint written: the next start is quick.
    Fast,
    /// At once, as after a power cut: the next start recovers from the log.
    Immediate,
}

/// A running cluster; copies are handles of the same one.
///
/// Dropping it does not stop the server, nor does the end of the process: the next start adopts it.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) site: Site,
    running: Mutex<Running>,
    adopted: bool,
    /// Held while the server is started or stopped.
    pub(crate) changing: tokio::sync::Mutex<()>,
    /// Set by [`Cluster::stop_within`], for the supervisors.
    pub(crate) stopped: watch::Sender<bool>,
}

impl Cluster {
    /// Makes the cluster where there is none yet, adopts the server that runs on it or starts one, and returns
    /// when it takes connections.
    ///
    /// # Errors
    /// Each variant of [`Error`] but [`Error::Fetch`], as one line that names the directory and the way out.
    pub async fn start(config: ClusterConfig) -> Result<Cluster, Error> {
        let site = Site::survey(config)?;
        initdb::ensure(&site).await?;
        let running = launch::launch(&site).await?;
        let adopted = running.adopted;
        let inner = Inner {
            site,
            running: Mutex::new(running),
            adopted,
            changing: tokio::sync::Mutex::new(()),
            stopped: watch::Sender::new(false),
        };
        Ok(Cluster { inner: Arc::new(inner) })
    }

    /// Whether the server ran already when [`Cluster::start`] came.
    pub fn adopted(&self) -> bool {
        self.inner.adopted
    }

    /// The data directory, absolute.
    pub fn data_dir(&self) -> &Path {
        &self.inner.site.data_dir
    }

    /// The role that owns everything.
    pub fn superuser(&self) -> &str {
        &self.inner.site.superuser
    }

    /// The directory of the server's socket.
    pub fn socket_dir(&self) -> PathBuf {
        self.running().socket_dir
    }

    /// The major version of the binaries.
    pub fn major(&self) -> u32 {
        self.inner.site.binaries.major
    }

    /// The process of the server, if it lives.
    pub fn pid(&self) -> Option<i32> {
        Postmaster::alive(self.data_dir()).map(|found| found.pid)
    }

    /// How a role connects to a database of this cluster; no password is asked for.
    pub fn options(&self, user: &str, database: &str) -> PgConnectOptions {
        let running = self.running();
        self.inner.site.options(&running.socket_dir, running.port, user, database)
    }

    /// Starts the server again after it ended.
    pub(crate) async fn restart(&self) -> Result<(), Error> {
        let _alone = self.inner.changing.lock().await;
        if *self.inner.stopped.borrow() {
            return Ok(());
        }
        let running = launch::launch(&self.inner.site).await?;
        *self.inner.running.lock().unwrap_or_else(PoisonError::into_inner) = running;
        Ok(())
    }

    fn running(&self) -> Running {
        self.inner.running.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
