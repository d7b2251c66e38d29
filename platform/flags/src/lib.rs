//! Feature flags. Who reads one asks for the variant that a key has, and gets the same one each time until somebody turns the flag.
//!
//! Flags come from files ([`Files`]), one for each in Unleash's own export format, or from an Unleash server ([`Unleash`]). Both are
//! evaluated by the same engine, Unleash's own, so that a flag means the same wherever it is kept: the key is its `userId`, and which
//! variant it gets follows from a hash of the key and the flag's name (MurmurHash3, as Unleash's client specification says).

mod engine;
mod export;
mod files;
mod unleash;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use export::{Flag, FlagError};
pub use files::{Files, FilesError};
pub use unleash::{Unleash, UnleashConfig};

/// Of a thousand keys: what the weights of a flag's variants sum up to.
pub const WEIGHTS_SUM: u16 = 1_000;

/// Where flags come from.
pub trait Flags: Send + Sync {
    /// The variant of a flag that a key has; without a key it is drawn anew each time. None where the flag is off, or nobody knows it:
    /// then what the code calls its default holds.
    fn variant(&self, flag: &str, key: Option<&str>) -> Option<String>;

    /// What holds now, by the flags' names.
    fn states(&self) -> Vec<State>;

    /// Whether [`Flags::turn`] would do it, before anything is said of it elsewhere.
    ///
    /// # Errors
    /// As it would.
    fn may_turn(&self, flag: &str, weights: &BTreeMap<&str, u16>) -> Result<(), TurnError>;

    /// From now on so many of a thousand keys have each of these variants.
    ///
    /// # Errors
    /// When these are no weights, or flags are not changed here.
    fn turn(&self, flag: &str, weights: &BTreeMap<&str, u16>) -> Result<(), TurnError>;
}

/// Why a flag was not turned. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum TurnError {
    /// Nobody knows it.
    #[error("there is no flag {0}")]
    Unknown(String),
    /// They are changed where they are kept.
    #[error("flags are kept by Unleash at {0}: turn {1} there")]
    Elsewhere(String, String),
    /// What it would become is no flag.
    #[error(transparent)]
    Flag(#[from] FlagError),
    /// The file is written, and another in the folder is wrong: so none is read.
    #[error("it is turned as soon as the folder can be read: {0}")]
    Read(String),
    /// The file was not written.
    #[error("{0} cannot be written: {1}")]
    Write(String, std::io::Error),
}

/// A flag as it holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Its name.
    pub name: String,
    /// Whether it is on; what is off has no variant.
    pub enabled: bool,
    /// How many of a thousand keys have each variant.
    pub weights: BTreeMap<String, u16>,
    /// Who says so.
    pub said_by: SaidBy,
}

/// Where a flag's state comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SaidBy {
    /// The files that the program was built with.
    Program,
    /// A file in the folder of flags.
    Folder,
    /// An Unleash server.
    Unleash,
}
