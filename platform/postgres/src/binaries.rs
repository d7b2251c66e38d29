//! Which PostgreSQL server this machine has, and which of them suits a data directory.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;

/// The oldest major version that Banyan runs on.
pub const OLDEST_MAJOR: u32 = 15;

/// What a folder must hold to count as a server's.
const TOOLS: [&str; 3] = ["initdb", "pg_ctl", "postgres"];

/// Where distributions put servers: the folder above the one that names the version, what that one's name
/// starts with, and where below it the binaries are.
const FOLDERS: [(&str, &str, &str); 10] = [
    ("/usr/lib/postgresql", "", "bin"),
    ("/usr/lib", "postgresql", "bin"),
    ("/usr/lib64", "postgresql", "bin"),
    ("/usr", "pgsql-", "bin"),
    ("/usr/libexec", "postgresql", ""),
    ("/usr/local", "pgsql", "bin"),
    ("/opt/homebrew/opt", "postgresql", "bin"),
    ("/usr/local/opt", "postgresql", "bin"),
    ("/opt/local/lib", "postgresql", "bin"),
    ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
];

/// A server's binaries of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binaries {
    /// The folder of `initdb`, `pg_ctl` and `postgres`.
    pub bin_dir: PathBuf,
    /// The major version, as in a data directory's `PG_VERSION`.
    pub major: u32,
}

impl Binaries {
    /// Reads the version of the binaries in `bin_dir`; `None` where one of them is missing or does not run.
    pub fn at(bin_dir: &Path) -> Option<Binaries> {
        if !TOOLS.iter().all(|tool| bin_dir.join(tool).is_file()) {
            return None;
        }
        let output = Command::new(bin_dir.join("postgres")).arg("--version").output().ok()?;
        let major = major_of(&String::from_utf8_lossy(&output.stdout))?;
        Some(Binaries { bin_dir: bin_dir.to_path_buf(), major })
    }

    pub(crate) fn tool(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }
}

/// Finds the newest server of this machine, in PATH, the distributions' folders and [`cache_dir`].
///
/// # Errors
/// [`Error::NoBinaries`] when there is none of version [`OLDEST_MAJOR`] or newer.
pub fn find() -> Result<Binaries, Error> {
    newest(find_all())
}

/// Finds the server for a data directory: of the version that made it, or the newest for a new one.
///
/// # Errors
/// [`Error::NoBinaries`] as [`find`]; [`Error::NoBinariesFor`] when the directory is of another version;
/// [`Error::NotACluster`] when what should name its version names none.
pub fn find_for(data_dir: &Path) -> Result<Binaries, Error> {
    match data_version(data_dir) {
        Some(wanted) if !is_version(&wanted) => Err(Error::NotACluster { dir: data_dir.to_path_buf() }),
        Some(wanted) => matching(find_all(), data_dir, wanted),
        None => find(),
    }
}

/// Where fetched servers are kept, as `postgres-VERSION`: `$XDG_CACHE_HOME/banyan`, else `~/.cache/banyan`;
/// for root `/var/cache/banyan`, since the user that runs PostgreSQL cannot enter root's home.
pub fn cache_dir() -> PathBuf {
    if let Some(cache) = env::var_os("XDG_CACHE_HOME").filter(|cache| !cache.is_empty()) {
        return PathBuf::from(cache).join("banyan");
    }
    match env::var_os("HOME") {
        Some(home) if !nix::unistd::geteuid().is_root() => PathBuf::from(home).join(".cache/banyan"),
        _ => PathBuf::from("/var/cache/banyan"),
    }
}

/// As `15`, or `9.6` in the old days.
fn is_version(text: &str) -> bool {
    text.split('.').all(|part| part.parse::<u32>().is_ok())
}

/// The version named by a data directory's `PG_VERSION`, if it has one.
pub(crate) fn data_version(data_dir: &Path) -> Option<String> {
    fs::read_to_string(data_dir.join("PG_VERSION")).ok().map(|version| version.trim().to_owned())
}

fn newest(found: Vec<Binaries>) -> Result<Binaries, Error> {
    let usable = found.into_iter().filter(|binaries| binaries.major >= OLDEST_MAJOR);
    // Of equal versions the first found wins: what the user put on PATH.
    usable.reduce(|best, next| if next.major > best.major { next } else { best }).ok_or(Error::NoBinaries)
}

fn matching(found: Vec<Binaries>, data_dir: &Path, wanted: String) -> Result<Binaries, Error> {
    let found_for_people = for_people(&found);
    let suits = |binaries: &Binaries| binaries.major.to_string() == wanted;
    found.into_iter().find(suits).ok_or_else(|| Error::NoBinariesFor {
        dir: data_dir.to_path_buf(),
        wanted,
        found: found_for_people,
    })
}

fn for_people(found: &[Binaries]) -> String {
    let mut majors: Vec<u32> = found.iter().map(|binaries| binaries.major).collect();
    majors.sort_unstable();
    majors.dedup();
    match majors.as_slice() {
        [] => "none".to_owned(),
        majors => majors.iter().map(u32::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn find_all() -> Vec<Binaries> {
    let mut folders = path_folders();
    for (above, prefix, below) in FOLDERS {
        folders.extend(folders_in(Path::new(above), prefix).into_iter().map(|folder| folder.join(below)));
    }
    folders.extend(folders_in(&cache_dir(), "postgres-").into_iter().map(|folder| folder.join("bin")));
    folders.dedup();
    folders.iter().filter_map(|folder| Binaries::at(folder)).collect()
}

fn path_folders() -> Vec<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    // A relative entry would mean another folder for the server, which runs elsewhere.
    env::split_paths(&path).filter(|folder| folder.is_absolute()).collect()
}

fn folders_in(above: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(above).into_iter().flatten().flatten();
    let named = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix));
    let mut folders: Vec<PathBuf> = named.map(|entry| entry.path()).collect();
    folders.sort();
    folders
}

/// The major version in what `postgres --version` prints, such as `postgres (PostgreSQL) 15.13 (Debian ...)`.
fn major_of(printed: &str) -> Option<u32> {
    let version = printed.split("(PostgreSQL)").nth(1)?.trim_start();
    let digits: String = version.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binaries(major: u32) -> Binaries {
        Binaries { bin_dir: PathBuf::from(format!("/{major}")), major }
    }

    #[test]
    fn the_major_version_is_read() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.13 (Debian 15.13-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_of("nonsense"), None);
    }

    #[test]
    fn the_newest_is_taken_for_a_new_directory() {
        let newest_of = |majors: &[u32]| newest(majors.iter().copied().map(binaries).collect());
        assert_eq!(newest_of(&[15, 17, 16]).unwrap().major, 17);
        assert!(matches!(newest_of(&[13, 14]), Err(Error::NoBinaries)));
    }

    #[test]
    fn the_directory_s_own_version_is_taken_or_missed() {
        let found = || vec![binaries(15), binaries(17)];
        assert_eq!(matching(found(), Path::new("/d"), "15".into()).unwrap().major, 15);
        let error = matching(found(), Path::new("/d"), "16".into()).unwrap_err().to_string();
        assert!(
            error.starts_with("data directory /d is of PostgreSQL 16, but this machine has 15, 17:"),
            "{error}"
        );
    }
}
