//! Everything that can go wrong, each in one line that names the place and the way out.

use std::io;
use std::path::{Path, PathBuf};

use crate::binaries::OLDEST_MAJOR;

/// Why there is no PostgreSQL, or why it did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No server of a supported version on this machine.
    #[error(
        "no PostgreSQL {OLDEST_MAJOR} or newer found: install your system's postgresql package, or fetch one \
         without root: cargo run --release -p banyan-postgres --features fetch --bin fetch-postgres"
    )]
    NoBinaries,
    /// The data directory was made by a major version of which no server is installed.
    #[error(
        "data directory {dir} is of PostgreSQL {wanted}, but this machine has {found}: \
         install postgresql-{wanted}, or choose another data directory"
    )]
    NoBinariesFor {
        /// The data directory.
        dir: PathBuf,
        /// The major version that made it.
        wanted: String,
        /// The major versions found, for people.
        found: String,
    },
    /// The binaries handed over are of another major version than the data directory.
    #[error(
        "data directory {dir} is of PostgreSQL {wanted}, not {given}: take the binaries that find_for chooses"
    )]
    OtherMajor {
        /// The data directory.
        dir: PathBuf,
        /// The major version that made it.
        wanted: String,
        /// The major version of the binaries.
        given: u32,
    },
    /// The data directory belongs to another user.
    #[error(
        "data directory {dir} belongs to {owner}, not to {user}: run as {owner}, chown -R {user} it, \
         or choose another data directory"
    )]
    OtherOwner {
        /// The data directory.
        dir: PathBuf,
        /// Its owner's name or number.
        owner: String,
        /// Who would run the server.
        user: String,
    },
    /// A program that not every package of a server brings.
    #[error(
        "there is no {tool} in {bin_dir}: install your system's postgresql-client package of that version"
    )]
    NoTool {
        /// Which.
        tool: &'static str,
        /// Where it was looked for.
        bin_dir: PathBuf,
    },
    /// No server runs that could be copied.
    #[error("no database runs in {dir}: start the shop, then back it up")]
    NotRunning {
        /// The data directory.
        dir: PathBuf,
    },
    /// `pg_basebackup` did not end well.
    #[error("the database in {dir} could not be copied: {message}")]
    BackupFailed {
        /// The data directory.
        dir: PathBuf,
        /// Its words.
        message: String,
    },
    /// A file that holds no data directory.
    #[error("{file} is no backup, or not a whole one ({message})")]
    NotABackup {
        /// The file.
        file: PathBuf,
        /// Why: of its checksum, or the words of `tar`.
        message: String,
    },
    /// Root may not run PostgreSQL and there is nobody to run it as.
    #[error(
        "PostgreSQL refuses to run as root, and there is neither a user postgres nor nobody: \
         useradd --system postgres, or run as an ordinary user"
    )]
    NoUser,
    /// The user who runs the server cannot reach a directory.
    #[error("user {user} cannot reach {dir}: choose a directory that {user} may enter (not below /root)")]
    Unreachable {
        /// The directory.
        dir: PathBuf,
        /// Who would run the server.
        user: String,
    },
    /// Somebody uses the data directory and cannot be adopted.
    #[error(
        "data directory {dir} is in use{}: {why}; stop it ({}), or choose another data directory",
        pid.map(|pid| format!(" by process {pid}")).unwrap_or_default(),
        pid.map_or("pg_ctl stop".to_owned(), |pid| format!("kill -INT {pid}"))
    )]
    InUse {
        /// The data directory.
        dir: PathBuf,
        /// The process, where it is known.
        pid: Option<i32>,
        /// Why it was not adopted.
        why: String,
    },
    /// The directory cannot be written.
    #[error("cannot write in {dir} ({why}): make it writable, or choose another data directory")]
    NotWritable {
        /// The directory.
        dir: PathBuf,
        /// The system's or PostgreSQL's own words.
        why: String,
    },
    /// The file system is full.
    #[error(
        "no space left for data directory {dir} ({why}): free some space, then start again; nothing is lost"
    )]
    DiskFull {
        /// The data directory.
        dir: PathBuf,
        /// The system's or PostgreSQL's own words.
        why: String,
    },
    /// The path is longer than PostgreSQL or the system take.
    #[error("path {dir} is too long (at most {limit_bytes} bytes): choose a shorter data directory")]
    PathTooLong {
        /// The directory.
        dir: PathBuf,
        /// The longest path that works.
        limit_bytes: usize,
    },
    /// The path holds a character that PostgreSQL's own tools do not take.
    #[error("path {dir} holds the character {character:?}: choose a data directory without it")]
    PathUnusable {
        /// The directory.
        dir: PathBuf,
        /// The first offending character.
        character: char,
    },
    /// The directory holds something that is not a PostgreSQL cluster.
    #[error("{dir} is not empty and holds no PostgreSQL cluster: empty it, or choose another data directory")]
    NotACluster {
        /// The directory.
        dir: PathBuf,
    },
    /// A new cluster cannot be put in place at a mount point.
    #[error("{dir} is a mount point: choose a data directory inside it, for example {dir}/postgres")]
    MountPoint {
        /// The directory.
        dir: PathBuf,
    },
    /// The directory for the socket exists and is not ours alone.
    #[error(
        "socket directory {dir} is not a directory of mode 0700 of user {user}: remove it, then start again"
    )]
    SocketDirectory {
        /// The directory.
        dir: PathBuf,
        /// Who would run the server.
        user: String,
    },
    /// initdb failed for another reason.
    #[error("initdb could not make {dir}: {message}")]
    InitdbFailed {
        /// The data directory.
        dir: PathBuf,
        /// initdb's own words, condensed.
        message: String,
    },
    /// The server did not start for another reason.
    #[error("PostgreSQL did not start in {dir}: {message}; its log is {dir}/server.log")]
    StartFailed {
        /// The data directory.
        dir: PathBuf,
        /// PostgreSQL's own words, condensed.
        message: String,
    },
    /// The server started and was not ready in time.
    #[error(
        "PostgreSQL in {dir} was not ready within {waited_s} s: it may still be recovering, see {dir}/server.log, \
         then start again"
    )]
    NotReady {
        /// The data directory.
        dir: PathBuf,
        /// How long was waited, in seconds.
        waited_s: u64,
    },
    /// The server did not stop.
    #[error("PostgreSQL in {dir} did not stop: {message}; its log is {dir}/server.log")]
    StopFailed {
        /// The data directory.
        dir: PathBuf,
        /// What was tried last.
        message: String,
    },
    /// A statement of our own failed.
    #[error("PostgreSQL in {dir} refused to {action}: {source}")]
    Refused {
        /// The data directory.
        dir: PathBuf,
        /// What was asked for.
        action: String,
        /// The driver's error.
        source: sqlx::Error,
    },
    /// The system refused a file operation for another reason.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The download or its verification failed.
    #[error("cannot fetch PostgreSQL {version}: {message}; install your system's postgresql package instead")]
    Fetch {
        /// The version asked for.
        version: String,
        /// What went wrong.
        message: String,
    },
}

impl Error {
    /// Says what a failed file operation in or for the data directory `dir` means for people.
    pub(crate) fn io(dir: &Path, action: &'static str, path: &Path, source: io::Error) -> Error {
        let dir = dir.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Error::DiskFull { dir, why: source.to_string() }
            }
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
                Error::NotWritable { dir: path.to_path_buf(), why: source.to_string() }
            }
            io::ErrorKind::InvalidFilename => Error::PathTooLong { dir, limit_bytes: 255 },
            _ => Error::Io { action, path: path.to_path_buf(), source },
        }
    }
}

/// What PostgreSQL's own words mean, where they mean something that people can mend.
pub(crate) fn from_words(dir: &Path, words: &str) -> Option<Error> {
    let dir = dir.to_path_buf();
    let why = condense(words);
    // Its log is on the same disk, and may end in the middle of the sentence.
    const FULL: [&str; 3] = ["No space left on device", "Disk quota exceeded", "could not write lock file"];
    if FULL.iter().any(|full| words.contains(full)) {
        return Some(Error::DiskFull { dir, why });
    }
    if words.contains("Read-only file system") || words.contains("has invalid permissions") {
        return Some(Error::NotWritable { dir, why });
    }
    if words.contains("already exists") && words.contains("lock file")
        || words.contains("lock file") && words.contains("is empty")
        || words.contains("is still in use")
        || words.contains("another server might be running")
    {
        return Some(Error::InUse { dir, pid: None, why });
    }
    words.contains("Permission denied").then_some(Error::NotWritable { dir, why })
}

/// The most telling line of a log or of a tool's output, without its stamp; at most 300 characters.
pub(crate) fn condense(words: &str) -> String {
    const TELLING: [&str; 4] = ["PANIC:", "FATAL:", "error:", "ERROR:"];
    let lines: Vec<&str> = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let telling = TELLING.iter().find_map(|mark| lines.iter().find_map(|line| after(line, mark)));
    let line = telling.or_else(|| lines.last().copied()).unwrap_or("it said nothing");
    line.chars().take(300).collect()
}

fn after<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    line.find(mark).map(|at| line[at + mark.len()..].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(words: &str, expected: &str) {
        let error = from_words(Path::new("/d"), words).map(|error| error.to_string()).unwrap_or_default();
        assert!(error.starts_with(expected), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }

    #[test]
    fn postgres_own_words_become_one_line_with_a_way_out() {
        check(
            "LOG: x\n2026 UTC [7] FATAL:  could not write lock file \"postmaster.pid\": No space left on device\n",
            "no space left for data directory /d (could not write lock file",
        );
        check("FATAL:  could not write lock file \"postmaster.pid\"", "no space left for data directory /d");
        check(
            "FATAL:  lock file \"postmaster.pid\" already exists",
            "data directory /d is in use: lock file",
        );
        check("sh: 1: cannot create /d/server.log: Read-only file system", "cannot write in /d (sh: 1");
        check("FATAL:  data directory \"/d\" has invalid permissions", "cannot write in /d (data directory");
        check("FATAL:  something else", "");
    }

    #[test]
    fn the_most_telling_line_is_taken() {
        assert_eq!(condense("a\ninitdb: error: no\nlast"), "no");
        assert_eq!(condense("only\n\n"), "only");
        assert_eq!(condense(""), "it said nothing");
    }
}
