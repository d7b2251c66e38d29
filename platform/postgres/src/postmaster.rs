//! The process that runs on a data directory, as its postmaster.pid names it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What a server writes into postmaster.pid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Postmaster {
    pub(crate) pid: i32,
    /// When it started, in seconds since 1970 by the server's own clock.
    pub(crate) started_at_s: i64,
    pub(crate) port: u16,
    /// The directory of its socket; empty when it has none.
    pub(crate) socket_dir: PathBuf,
    /// It takes connections.
    pub(crate) ready: bool,
}

impl Postmaster {
    /// Reads the file; `None` where it is missing or being written.
    pub(crate) fn read(data_dir: &Path) -> Option<Postmaster> {
        Postmaster::parse(&fs::read_to_string(data_dir.join("postmaster.pid")).ok()?)
    }

    fn parse(text: &str) -> Option<Postmaster> {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        Some(Postmaster {
            pid: lines.first()?.parse().ok().filter(|pid| *pid > 0)?,
            started_at_s: lines.get(2)?.parse().ok()?,
            port: lines.get(3)?.parse().ok()?,
            socket_dir: PathBuf::from(lines.get(4)?),
            ready: lines.get(7).is_some_and(|status| *status == "ready"),
        })
    }

    /// The live server of a data directory: the process that its file names exists, is no zombie, and works
    /// in this very directory, so that a process that was given an old server's number is not taken for it.
    pub(crate) fn alive(data_dir: &Path) -> Option<Postmaster> {
        Postmaster::read(data_dir).filter(|found| works_in(found.pid, data_dir))
    }
}

/// Removes a postmaster.pid whose number now belongs to a process that has nothing to do with this directory.
///
/// PostgreSQL itself refuses to start as long as that process lives, which in a container, where numbers are
/// small and come again, may be for ever. Nothing is touched unless no process at all works in the directory.
pub(crate) fn forget_stranger(data_dir: &Path) {
    let Some(found) = Postmaster::read(data_dir) else { return };
    if !has_proc() || process_state(found.pid).is_none() || anyone_works_in(data_dir) {
        return;
    }
    tracing::info!(pid = found.pid, dir = %data_dir.display(), "stale postmaster.pid removed");
    let _ = fs::remove_file(data_dir.join("postmaster.pid"));
    let socket = found.socket_dir.join(format!(".s.PGSQL.{}", found.port));
    let _ = fs::remove_file(socket.with_extension(format!("{}.lock", found.port)));
}

fn has_proc() -> bool {
    Path::new("/proc/self/stat").exists()
}

/// Whether this process lives, and works in the directory.
pub(crate) fn works_in(pid: i32, data_dir: &Path) -> bool {
    if !has_proc() {
        return works_in_by_ps(pid, data_dir);
    }
    !matches!(process_state(pid), None | Some('Z' | 'X'))
        && is_same_dir(Path::new(&format!("/proc/{pid}/cwd")), data_dir)
}

fn anyone_works_in(data_dir: &Path) -> bool {
    processes().any(|process| is_same_dir(&process.join("cwd"), data_dir))
}

/// Whether a live process was told this directory on its command line, as initdb and its helpers are.
///
/// Where there is no /proc, nobody is found.
pub(crate) fn is_named_by_anyone(dir: &Path) -> bool {
    let wanted = dir.as_os_str().as_encoded_bytes();
    let names = |told: &[u8]| told.windows(wanted.len()).any(|part| part == wanted);
    processes().any(|process| fs::read(process.join("cmdline")).is_ok_and(|told| names(&told)))
}

fn processes() -> impl Iterator<Item = PathBuf> {
    fs::read_dir("/proc").into_iter().flatten().flatten().map(|entry| entry.path())
}

/// The processes that a server has started. Where there is no /proc, nobody is found.
pub(crate) fn children(server: i32, data_dir: &Path) -> Vec<i32> {
    let pids = processes().filter_map(|process| process.file_name()?.to_str()?.parse().ok());
    pids.filter(|pid| parent(*pid) == Some(server) && works_in(*pid, data_dir)).collect()
}

/// Whether two paths lead to the same directory, by device and inode, which a rename does not change.
pub(crate) fn is_same_dir(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).map(|found| (found.dev(), found.ino())).ok();
    identity(one).is_some_and(|one| Some(one) == identity(other))
}

/// The state letter in /proc/PID/stat.
fn process_state(pid: i32) -> Option<char> {
    stat(pid, 0)?.chars().next()
}

fn parent(pid: i32) -> Option<i32> {
    stat(pid, 1)?.parse().ok()
}

/// A field of /proc/PID/stat after the command's name, which stands in parentheses and may hold anything.
fn stat(pid: i32, field: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(field).map(str::to_owned)
}

/// Where there is no /proc: a postgres whose command line names the directory.
fn works_in_by_ps(pid: i32, data_dir: &Path) -> bool {
    let listed = Command::new("ps").args(["-ww", "-o", "stat=,command=", "-p", &pid.to_string()]).output();
    let Ok(listed) = listed else { return false };
    let line = String::from_utf8_lossy(&listed.stdout).trim().to_owned();
    !line.starts_with('Z') && line.contains("postgres") && line.contains(&*data_dir.to_string_lossy())
}

#[cfg(test)]
mod tests {
    use super::*;

    const READY: &str = "71\n/d\n1700000000\n5432\n/run/x\n\n  123  0\nready   \n";

    #[test]
    fn the_file_is_read() {
        let found = Postmaster::parse(READY).unwrap();
        assert_eq!((found.pid, found.port, found.ready), (71, 5432, true));
        assert!(!Postmaster::parse(&READY.replace("ready", "starting")).unwrap().ready);
        assert_eq!(Postmaster::parse("71\n/d\n"), None);
    }

    #[test]
    fn a_stranger_with_the_old_number_is_not_the_server_and_is_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("postmaster.pid");
        fs::write(&file, READY.replace("71", &std::process::id().to_string())).unwrap();
        assert_eq!(Postmaster::alive(dir.path()), None);
        forget_stranger(dir.path());
        assert!(!file.exists());
    }

    #[test]
    fn the_file_of_a_dead_process_is_left_to_postgresql() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("postmaster.pid");
        fs::write(&file, READY.replace("71", "2000000000")).unwrap();
        forget_stranger(dir.path());
        assert!(file.exists());
    }
}
