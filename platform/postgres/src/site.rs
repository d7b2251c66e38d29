//! One data directory with everything that is decided about it before a server runs on it.

use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::account::Account;
use crate::binaries::{Binaries, data_version};
use crate::cluster::ClusterConfig;
use crate::error::Error;
use crate::socket;

/// The port only names the socket's file; nothing listens on the network.
const PORT: u16 = 5432;

#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) data_dir: PathBuf,
    pub(crate) socket_dir: PathBuf,
    pub(crate) port: u16,
    pub(crate) binaries: Binaries,
    pub(crate) account: Account,
    pub(crate) superuser: String,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) durable: bool,
    pub(crate) ready_within: Duration,
}

impl Site {
    /// Checks what can be known before anything is written.
    pub(crate) fn survey(config: ClusterConfig) -> Result<Site, Error> {
        let data_dir = std::path::absolute(&config.data_dir)
            .map_err(|error| Error::io(&config.data_dir, "resolve", &config.data_dir, error))?;
        socket::check_path(&data_dir)?;
        let account = Account::for_data_dir(&data_dir)?;
        check_version(&data_dir, &config.binaries)?;
        let socket_dir = socket::choose(&data_dir, &account);
        let ClusterConfig { binaries, superuser, settings, durable, ready_within, .. } = config;
        Ok(Site {
            data_dir,
            socket_dir,
            port: PORT,
            binaries,
            account,
            superuser,
            settings,
            durable,
            ready_within,
        })
    }

    pub(crate) fn has_cluster(&self) -> bool {
        data_version(&self.data_dir).is_some()
    }

    /// Whether there is nothing in the data directory, or no such directory.
    pub(crate) fn is_empty(&self) -> Result<bool, Error> {
        match fs::read_dir(&self.data_dir) {
            Ok(mut entries) => Ok(entries.next().is_none()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
            Err(error) => Err(Error::io(&self.data_dir, "read", &self.data_dir, error)),
        }
    }

    /// How to connect through a server's socket; nothing is taken from the environment that matters here.
    pub(crate) fn options(
        &self,
        socket_dir: &Path,
        port: u16,
        user: &str,
        database: &str,
    ) -> PgConnectOptions {
        let options = PgConnectOptions::new_without_pgpass().socket(socket_dir).port(port);
        options.ssl_mode(PgSslMode::Disable).username(user).database(database)
    }
}

fn check_version(data_dir: &Path, binaries: &Binaries) -> Result<(), Error> {
    match data_version(data_dir) {
        Some(wanted) if wanted != binaries.major.to_string() => {
            Err(Error::OtherMajor { dir: data_dir.to_path_buf(), wanted, given: binaries.major })
        }
        _ => Ok(()),
    }
}
