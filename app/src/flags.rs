//! The flags that this program reads, and where they come from.

use std::{collections::BTreeMap, path::Path, sync::Arc};

use banyan_flags::{Files, FilesError, Flag, Flags, SaidBy, State, Unleash, UnleashConfig};
use banyan_kernel::Clock;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

/// Of the data folder: files that go before those of the program.
pub const FOLDER: &str = "flags";

/// Each flag's file, as the program was built.
pub const FILES: [(&str, &str); 6] = [
    ("catalog-route", include_str!("../../flags/catalog-route.json")),
    ("inventory-route", include_str!("../../flags/inventory-route.json")),
    ("notifications-route", include_str!("../../flags/notifications-route.json")),
    ("orders-route", include_str!("../../flags/orders-route.json")),
    ("payments-route", include_str!("../../flags/payments-route.json")),
    ("shipping-route", include_str!("../../flags/shipping-route.json")),
];

/// Who reads a flag.
const READ_IN: &str = "app/src/routes";

/// A flag, as its file describes it and as it holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FlagView {
    /// Its name.
    pub name: String,
    /// What it is for.
    pub purpose: String,
    /// Who looks after it.
    pub owner: String,
    /// For how many days it has been there.
    pub age_days: i64,
    /// The day when it must be gone.
    pub removal: String,
    /// Whether that day is over.
    pub is_overdue: bool,
    /// What holds while nobody knows it.
    pub default: String,
    /// Where it is read.
    pub read_in: String,
    /// Whether it is on; none, where whoever keeps flags does not know it.
    pub enabled: Option<bool>,
    /// Of a thousand keys, by variant.
    pub weights: BTreeMap<String, u16>,
    /// Who says so.
    pub said_by: Option<SaidBy>,
}

/// The flags of a shop.
pub struct ShopFlags {
    files: Arc<Files>,
    flags: Arc<dyn Flags>,
    clock: Arc<dyn Clock>,
}

impl ShopFlags {
    /// From files in this folder over those of the program; or from an Unleash server, if one is named. They are followed until `stop`.
    ///
    /// # Errors
    /// When a file is no flag. Whether the server answers is not waited for.
    pub fn start(
        folder: &Path,
        unleash: Option<UnleashConfig>,
        (client, clock): (reqwest::Client, Arc<dyn Clock>),
        stop: &CancellationToken,
    ) -> Result<Self, FilesError> {
        let files = Arc::new(Files::open(&FILES, folder)?);
        tokio::spawn(files.clone().follow(stop.clone()));
        let flags: Arc<dyn Flags> = match unleash {
            None => files.clone(),
            Some(config) => {
                let unleash = Arc::new(Unleash::new(config, client, files.clone()));
                tokio::spawn(unleash.clone().follow(stop.clone()));
                unleash
            }
        };
        Ok(Self { files, flags, clock })
    }

    /// Whoever decides.
    #[must_use]
    pub fn flags(&self) -> Arc<dyn Flags> {
        self.flags.clone()
    }

    /// What is wrong with the folder, while it is.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.files.trouble()
    }

    /// Those that this program reads, by their names.
    #[must_use]
    pub fn all(&self) -> Vec<FlagView> {
        let states: BTreeMap<String, State> =
            self.flags.states().into_iter().map(|state| (state.name.clone(), state)).collect();
        let names = self.files.names();
        let read = self.files.flags().into_iter().filter(|flag| names.contains(&flag.name));
        read.map(|flag| self.view(flag, &states)).collect()
    }

    fn view(&self, flag: Flag, states: &BTreeMap<String, State>) -> FlagView {
        let (today, state) = (self.clock.now().date(), states.get(&flag.name).cloned());
        FlagView {
            age_days: (today - flag.since).whole_days(),
            removal: flag.removal.to_string(),
            is_overdue: today > flag.removal,
            read_in: READ_IN.to_owned(),
            enabled: state.as_ref().map(|state| state.enabled),
            said_by: state.as_ref().map(|state| state.said_by),
            weights: state.map(|state| state.weights).unwrap_or_default(),
            name: flag.name,
            purpose: flag.purpose,
            owner: flag.owner,
            default: flag.default,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use banyan_kernel::SystemClock;

    use super::*;
    use crate::{compose::MODULES, routes};

    /// Each is read, each that is read is there, and none is past its day.
    #[test]
    fn every_flag_is_read_and_every_one_that_is_read_is_there_and_none_is_overdue() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../flags");
        let files = fs::read_dir(folder).expect("flags/").map(|entry| entry.expect("a file").file_name());
        let files: BTreeSet<String> = files.map(|name| name.to_string_lossy().into_owned()).collect();
        let read: BTreeSet<String> = MODULES.iter().map(|module| routes::flag(module)).collect();
        let as_files = |names: &BTreeSet<String>| names.iter().map(|name| format!("{name}.json")).collect();
        assert_eq!(files, as_files(&read), "files, and what is read");
        let built_in: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(built_in, read, "what is built in, and what is read");
        let today = SystemClock.now().date();
        for (name, text) in FILES {
            let flag = Flag::parse(name, text).unwrap_or_else(|error| panic!("{error}"));
            assert!(today <= flag.removal, "{name} is past its day, {}: take it out", flag.removal);
            assert!(flag.since <= today && flag.weights.contains_key(&flag.default), "{name}");
        }
    }
}
