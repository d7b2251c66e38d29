//! The private PostgreSQL: found or fetched, started, adopted, stopped.
//!
//! A shop that is given no database address runs a PostgreSQL of its own. [`find_for`] chooses the
//! server's binaries, [`Cluster::start`] makes the data directory at first, starts the server or adopts
//! one that outlived a killed shop, and [`Cluster::supervise`] restarts it when it dies. The server
//! listens on a Unix socket in a directory of mode 0700 alone, and survives the death of its parent.
//!
//! With feature `testing`, `testing::database` gives each test a database of its own; with feature
//! `fetch`, the program `fetch-postgres` downloads a server where none is installed.

mod account;
#[cfg(feature = "fetch")]
mod archive;
mod backup;
mod binaries;
mod cluster;
mod databases;
mod error;
mod initdb;
mod launch;
mod postmaster;
mod seal;
mod settings;
mod site;
mod socket;
mod stop;
mod supervise;
#[cfg(feature = "testing")]
pub mod testing;

#[cfg(feature = "fetch")]
pub use archive::{FETCHED_VERSION, fetch};
pub use backup::{backup, begun, is_running, restore};
pub use binaries::{Binaries, OLDEST_MAJOR, cache_dir, find, find_for};
pub use cluster::{Cluster, ClusterConfig, StopMode};
pub use error::Error;
