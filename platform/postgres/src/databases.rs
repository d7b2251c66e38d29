//! Databases of a cluster, and the room they take.

use std::fs;
use std::path::Path;

use sqlx::{AssertSqlSafe, ConnectOptions, Connection, PgConnection};

use crate::cluster::Cluster;
use crate::error::Error;

const EXISTS: &str = "SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)";

/// duplicate_database, and unique_violation where two create it at the same moment.
const ALREADY_THERE: [&str; 2] = ["42P04", "23505"];

impl Cluster {
    /// Creates a database owned by the superuser; one that exists is left as it is.
    ///
    /// # Errors
    /// [`Error::Refused`] when the server cannot be reached or refuses the name.
    pub async fn create_database(&self, name: &str) -> Result<(), Error> {
        let created = self.create_missing(name).await;
        created.map_err(|source| Error::Refused {
            dir: self.data_dir().to_path_buf(),
            action: format!("create database {name}"),
            source,
        })
    }

    async fn create_missing(&self, name: &str) -> Result<(), sqlx::Error> {
        let mut connection = self.options(self.superuser(), "postgres").connect().await?;
        let exists: bool = sqlx::query_scalar(EXISTS).bind(name).fetch_one(&mut connection).await?;
        let created = if exists { Ok(()) } else { create(&mut connection, name).await };
        connection.close().await?;
        created
    }

    /// The bytes of all files in the data directory, the write-ahead log included.
    ///
    /// Files that vanish while they are counted are left out.
    pub fn size_bytes(&self) -> u64 {
        size_of(self.data_dir())
    }
}

async fn create(connection: &mut PgConnection, name: &str) -> Result<(), sqlx::Error> {
    // From template0, to which nobody can be connected: a session on template1 would be in the way.
    let statement = format!("CREATE DATABASE \"{}\" TEMPLATE template0", name.replace('"', "\"\""));
    match sqlx::raw_sql(AssertSqlSafe(statement)).execute(connection).await {
        Err(sqlx::Error::Database(error))
            if error.code().is_some_and(|code| ALREADY_THERE.contains(&&*code)) =>
        {
            Ok(())
        }
        done => done.map(|_| ()),
    }
}

fn size_of(dir: &Path) -> u64 {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let sizes = entries.map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => size_of(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    sizes.sum()
}
