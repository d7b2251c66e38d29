//! The data folder: who uses it, what is in it.

use std::{
    fs, io,
    io::Write,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use banyan_kernel::Timestamp;
use nix::{
    fcntl::{Flock, FlockArg},
    unistd::{Uid, User, geteuid},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// It cannot be read or written.
    #[error("the data folder {path}: {error}; {}", way_out(error), path = path.display())]
    Io {
        /// Which file or folder.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another shop runs on it.
    #[error("the data folder {path} is in use by another shop; stop that one, or choose another --data", path = path.display())]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// It is another user's, who could not use it any more once there are files of ours in it.
    #[error("the data folder {path} belongs to {owner}: run as {owner}, or choose another --data", path = path.display())]
    OtherOwner {
        /// Which.
        path: PathBuf,
        /// The user's name or number.
        owner: String,
    },
    /// A file in it is not what it was.
    #[error("{path} cannot be understood: {why}; move it away to start afresh", path = path.display())]
    Garbled {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// A shop that was killed is still there while the system takes its memory back.
const ENDING_MAX: Duration = Duration::from_secs(1);
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Says of which file the database was restored, and when that was begun.
const RESTORED: &str = "restored.json";

/// A data folder, held by this process alone.
pub struct Place {
    root: PathBuf,
    _lock: Flock<fs::File>,
}

/// Secrets between this shop and its private sandbox; made at first start.
#[derive(Clone, Serialize, Deserialize)]
pub struct Secrets {
    /// The gateway's and the carrier's.
    pub gateway: String,
    /// The sandbox's control interface's.
    pub control: String,
}

/// Of what the database was restored.
#[derive(Debug, Serialize, Deserialize)]
struct Restored {
    from: PathBuf,
    #[serde(with = "banyan_kernel::rfc3339::option")]
    begun: Option<Timestamp>,
}

/// As it is written, and as it was when it was the file's name alone.
#[derive(Deserialize)]
#[serde(untagged)]
enum Mark {
    Restored(Restored),
    Before(PathBuf),
}

/// How to reach the running shop.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Running {
    /// Its process.
    pub pid: u32,
    /// `http://HOST:PORT` of the public API.
    pub api: String,
    /// `http://HOST:PORT` of the admin API.
    pub admin: String,
}

impl Secrets {
    /// What the private sandbox signs its webhooks with: made of what it is known by, so that one file holds both.
    #[must_use]
    pub fn webhook(&self) -> String {
        format!("whsec_{}", hex::encode(Sha256::digest(format!("webhook {}", self.gateway))))
    }
}

impl Place {
    /// Takes the folder, made with mode 0711 when missing: the database's own user must pass through it.
    ///
    /// # Errors
    /// When it cannot be used, or is in use.
    pub fn take(root: &Path) -> Result<Self, PlaceError> {
        fs::DirBuilder::new().recursive(true).mode(0o711).create(root).map_err(failed(root.to_owned()))?;
        let owner = Uid::from_raw(fs::metadata(root).map_err(failed(root.to_owned()))?.uid());
        if owner != geteuid() {
            let user = User::from_uid(owner).ok().flatten();
            let owner = user.map_or(owner.to_string(), |user| user.name);
            return Err(PlaceError::OtherOwner { path: root.to_owned(), owner });
        }
        let path = root.join("lock");
        let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mut file = file.map_err(failed(path))?;
        let until = Instant::now() + ENDING_MAX;
        let lock = loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => break lock,
                Err((unlocked, _)) if Instant::now() < until => {
                    file = unlocked;
                    thread::sleep(LOOK_EVERY);
                }
                Err(_) => return Err(PlaceError::InUse { path: root.to_owned() }),
            }
        };
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// A path in it.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Who this shop is among those that share its database: the same after a restart, since the folder is
    /// locked; so it takes its own slots back at once.
    ///
    /// # Errors
    /// When the file cannot be read or made.
    pub fn instance(&self) -> Result<Uuid, PlaceError> {
        self.kept("instance.json", || Uuid::from_bytes(drawn()))
    }

    /// The secrets.
    ///
    /// # Errors
    /// When the file cannot be read or made.
    pub fn secrets(&self) -> Result<Secrets, PlaceError> {
        self.kept("secrets.json", || Secrets {
            gateway: format!("sk_sandbox_{}", hex::encode(drawn::<24>())),
            control: hex::encode(drawn::<24>()),
        })
    }

    /// Notes that the database is a restored one, of a backup that was begun then: the next start must know.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn mark_restored(&self, from: &Path, begun: Option<Timestamp>) -> Result<(), PlaceError> {
        write(&self.root, RESTORED, &Restored { from: from.to_owned(), begun })
    }

    /// Whether the database is a restored one, on which nobody has written yet.
    #[must_use]
    pub fn is_restored(&self) -> bool {
        self.root.join(RESTORED).exists()
    }

    /// When the backup was begun that it was restored of, where that is known.
    ///
    /// # Errors
    /// When the note cannot be read.
    pub fn restored_as_of(&self) -> Result<Option<Timestamp>, PlaceError> {
        Ok(match read(&self.root, RESTORED)? {
            Some(Mark::Restored(restored)) => restored.begun,
            Some(Mark::Before(from)) => {
                tracing::info!(from = %from.display(), correlation = "", "it is not known when this backup was begun");
                None
            }
            None => None,
        })
    }

    /// The shop has seen to it. Killed before this, it does so again, which does no harm.
    ///
    /// # Errors
    /// When it cannot be deleted.
    pub fn forget_restored(&self) -> Result<(), PlaceError> {
        let path = self.root.join(RESTORED);
        fs::remove_file(&path).map_err(failed(path))
    }

    fn kept<T: Serialize + for<'de> Deserialize<'de>>(
        &self,
        name: &str,
        make: impl FnOnce() -> T,
    ) -> Result<T, PlaceError> {
        match read(&self.root, name)? {
            Some(value) => Ok(value),
            None => {
                let value = make();
                write(&self.root, name, &value)?;
                Ok(value)
            }
        }
    }

    /// Tells the command line how to reach the shop.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn announce(&self, running: &Running) -> Result<(), PlaceError> {
        write(&self.root, "running.json", running)
    }
}

fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "free some space, then start again; nothing is lost"
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            "make it writable, or choose another --data"
        }
        _ => "choose another --data",
    }
}

fn failed(path: PathBuf) -> impl FnOnce(io::Error) -> PlaceError {
    move |error| PlaceError::Io { path, error }
}

/// From the system's randomness.
#[must_use]
pub fn drawn<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    // The system's generator fails at most before the machine has started up.
    let _ = rand::TryRngCore::try_fill_bytes(&mut rand::rngs::OsRng, &mut bytes);
    bytes
}

/// Reads a JSON file of a data folder, if it is there.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read<T: for<'de> Deserialize<'de>>(root: &Path, name: &str) -> Result<Option<T>, PlaceError> {
    let path = root.join(name);
    match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PlaceError::Io { path, error }),
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Some(value)),
            Err(error) => Err(PlaceError::Garbled { path, why: error.to_string() }),
        },
    }
}

/// Writes a JSON file of a data folder, whole or not at all, readable by its owner alone.
///
/// # Errors
/// When it cannot be written.
pub fn write<T: Serialize>(root: &Path, name: &str, value: &T) -> Result<(), PlaceError> {
    let (path, beside) = (root.join(name), root.join(format!("{name}.new")));
    let failed = |error| PlaceError::Io { path: path.clone(), error };
    let bytes = serde_json::to_vec_pretty(value).map_err(|error| failed(error.into()))?;
    let mut file = fs::OpenOptions::new();
    let mut file = file.write(true).create(true).truncate(true).mode(0o600).open(&beside).map_err(failed)?;
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(failed)?;
    fs::rename(&beside, &path).map_err(failed)
}
