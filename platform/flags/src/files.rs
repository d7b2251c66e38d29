//! Flags from files: those that the program was built with, and over them those in a folder, read again when they change.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio_util::sync::CancellationToken;
use unleash_api_client::client::Client;

use crate::{
    Flags, SaidBy, State, TurnError,
    engine::{self, ByName},
    export::{Flag, FlagError},
};

/// Between two looks at the folder.
const LOOK: Duration = Duration::from_millis(500);
/// A flag's file is a few hundred bytes.
const FILE_BYTES_MAX: u64 = 256 * 1024;
const FILES_MAX: usize = 1_000;

/// Flags from files.
pub struct Files {
    folder: PathBuf,
    built_in: BTreeMap<String, Flag>,
    client: Client<ByName>,
    read: Mutex<Read>,
    /// Why the folder's last change is not taken.
    trouble: Mutex<Option<String>>,
}

#[derive(Default)]
struct Read {
    /// By what their files were when they were read.
    files: BTreeMap<String, Stamp>,
    flags: BTreeMap<String, (Flag, SaidBy)>,
}

/// Tells a file from what it was before.
type Stamp = (SystemTime, u64);

/// Why flags cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// One that the program was built with is wrong.
    #[error(transparent)]
    Flag(#[from] FlagError),
    /// One in the folder is.
    #[error("{path}: {why}", path = .0.display(), why = .1)]
    File(PathBuf, FlagError),
    /// What is in its place is no file that could be read.
    #[error("{path} is no file", path = .0.display())]
    NoFile(PathBuf),
    /// The folder, or a file in it.
    #[error("{path} cannot be read: {why}", path = .0.display(), why = .1)]
    Read(PathBuf, io::Error),
}

impl Files {
    /// Those that the program was built with, each by name and text, and over them those in this folder, which need not be there.
    ///
    /// # Errors
    /// When one is none, or cannot be read.
    pub fn open(built_in: &[(&str, &str)], folder: &Path) -> Result<Self, FilesError> {
        let built_in = built_in.iter().map(|(name, text)| Ok(((*name).to_owned(), Flag::parse(name, text)?)));
        let built_in = built_in.collect::<Result<_, FlagError>>()?;
        let files = Self {
            folder: folder.to_owned(),
            built_in,
            client: engine::offline(),
            read: Mutex::default(),
            trouble: Mutex::default(),
        };
        let found = files.stamps()?;
        files.take(found)?;
        Ok(files)
    }

    fn read(&self) -> MutexGuard<'_, Read> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the folder if something in it has changed; whether it had. If one of its files is no flag, all stay as they were.
    ///
    /// # Errors
    /// As [`Files::open`].
    pub fn reload(&self) -> Result<bool, FilesError> {
        let found = self.stamps()?;
        if self.read().files == found {
            return Ok(false);
        }
        self.take(found).map(|()| true)
    }

    fn take(&self, found: BTreeMap<String, Stamp>) -> Result<(), FilesError> {
        let mut flags: BTreeMap<String, (Flag, SaidBy)> = self
            .built_in
            .iter()
            .map(|(name, flag)| (name.clone(), (flag.clone(), SaidBy::Program)))
            .collect();
        for name in found.keys() {
            let path = self.path(name);
            let text = fs::read_to_string(&path).map_err(|error| FilesError::Read(path.clone(), error))?;
            let flag = Flag::parse(name, &text).map_err(|why| FilesError::File(path.clone(), why))?;
            let Some((ours, _)) = flags.get(name) else {
                tracing::warn!(?path, correlation = "", "a file of a flag that nobody reads");
                continue;
            };
            ours.is_turned_by(&flag).map_err(|why| FilesError::File(path, why))?;
            flags.insert(name.clone(), (flag, SaidBy::Folder));
        }
        let features: Vec<_> = flags.values().map(|(flag, _)| flag.feature.clone()).collect();
        let mut read = self.read();
        engine::take(&self.client, &features);
        *read = Read { files: found, flags };
        Ok(())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.json"))
    }

    fn stamps(&self) -> Result<BTreeMap<String, Stamp>, FilesError> {
        let wrong = |error| FilesError::Read(self.folder.clone(), error);
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(wrong(error)),
        };
        let mut stamps = BTreeMap::new();
        for entry in entries.take(FILES_MAX) {
            let path = entry.map_err(wrong)?.path();
            let is_flag = path.extension().is_some_and(|extension| extension == "json");
            let Some(name) = path.file_stem().and_then(|name| name.to_str()).filter(|_| is_flag) else {
                continue;
            };
            let about = fs::metadata(&path).map_err(|error| FilesError::Read(path.clone(), error))?;
            // To open a pipe is to wait for who writes into it.
            if !about.is_file() {
                return Err(FilesError::NoFile(path));
            }
            if about.len() > FILE_BYTES_MAX {
                let why = format!("its file has more than {FILE_BYTES_MAX} bytes");
                let why = FlagError { name: name.to_owned(), why };
                return Err(FilesError::File(path, why));
            }
            stamps.insert(name.to_owned(), (about.modified().map_err(wrong)?, about.len()));
        }
        Ok(stamps)
    }

    /// Reads the folder again whenever something in it changes, until it is stopped. What is wrong is logged once and leaves all flags as
    /// they were.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let mut said = None;
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            let files = self.clone();
            let Ok(read) = tokio::task::spawn_blocking(move || files.reload()).await else { continue };
            let why = read.as_ref().err().map(ToString::to_string);
            match (&read, &why) {
                (Ok(true), _) => tracing::info!(correlation = "", "flags have changed and were read again"),
                (Err(_), Some(why)) if said.as_ref() != Some(why) => {
                    tracing::warn!(why, correlation = "", "flags stay as they were: a file is wrong");
                }
                _ => {}
            }
            self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&why);
            said = why;
        }
    }

    /// The flags as their files say.
    #[must_use]
    pub fn flags(&self) -> Vec<Flag> {
        self.read().flags.values().map(|(flag, _)| flag.clone()).collect()
    }

    /// What is wrong with the folder, while it is: then all flags are as they were before.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The names of those that the program was built with.
    #[must_use]
    pub fn names(&self) -> BTreeSet<String> {
        self.built_in.keys().cloned().collect()
    }

    fn turned(&self, flag: &str, weights: &BTreeMap<&str, u16>) -> Result<Flag, TurnError> {
        let before = self.read().flags.get(flag).map(|(flag, _)| flag.clone());
        Ok(before.ok_or_else(|| TurnError::Unknown(flag.to_owned()))?.with(weights)?)
    }

    fn write(&self, flag: &Flag) -> Result<(), TurnError> {
        let path = self.path(&flag.name);
        let write = || {
            fs::create_dir_all(&self.folder)?;
            let new = path.with_extension("new");
            let mut file = File::create(&new)?;
            file.write_all(flag.text().as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)?;
            File::open(&self.folder)?.sync_all()
        };
        write().map_err(|error| TurnError::Write(path.display().to_string(), error))
    }
}

impl Flags for Files {
    fn variant(&self, flag: &str, key: Option<&str>) -> Option<String> {
        engine::variant(&self.client, flag, key)
    }

    fn states(&self) -> Vec<State> {
        let state = |(flag, said_by): &(Flag, SaidBy)| {
            let (name, enabled, weights) = (flag.name.clone(), flag.enabled, flag.weights.clone());
            State { name, enabled, weights, said_by: *said_by }
        };
        self.read().flags.values().map(state).collect()
    }

    fn may_turn(&self, flag: &str, weights: &BTreeMap<&str, u16>) -> Result<(), TurnError> {
        self.turned(flag, weights).map(drop)
    }

    fn turn(&self, flag: &str, weights: &BTreeMap<&str, u16>) -> Result<(), TurnError> {
        self.write(&self.turned(flag, weights)?)?;
        match self.reload() {
            Ok(_) => Ok(()),
            Err(error) => Err(TurnError::Read(error.to_string())),
        }
    }
}
