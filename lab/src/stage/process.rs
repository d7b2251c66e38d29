//! Processes, as `/proc` tells of them. One is known by its id and the time it began, since ids come again.

use std::{fs, path::Path};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// A process that cannot be mistaken for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: i32,
    started_ticks: u64,
}

impl Process {
    /// The one that has this id now.
    #[must_use]
    pub fn now(pid: i32) -> Option<Self> {
        Some(Self { pid, started_ticks: stat(pid, 19)?.parse().ok()? })
    }

    /// Whether it still runs; one that ended and was not waited for does not.
    #[must_use]
    pub fn lives(&self) -> bool {
        Self::now(self.pid) == Some(*self) && stat(self.pid, 0).is_some_and(|state| state != "Z")
    }

    /// Whether it is stopped by a signal.
    #[must_use]
    pub fn is_frozen(&self) -> bool {
        self.lives() && stat(self.pid, 0).is_some_and(|state| state == "T")
    }

    /// Sends it a signal, if it still runs.
    pub fn signal(&self, signal: Signal) {
        if self.lives() {
            // It may end between the look and the signal.
            let _ = kill(Pid::from_raw(self.pid), signal);
        }
    }
}

/// A server and the processes it has started, the server first.
///
/// # Panics
/// When it is no more.
#[must_use]
pub fn family(pid: i32) -> Vec<Process> {
    let parent = |child: &i32| stat(*child, 1).is_some_and(|parent| parent == pid.to_string());
    let server = Process::now(pid).expect("a server that runs");
    [server].into_iter().chain(ids().filter(parent).filter_map(Process::now)).collect()
}

fn ids() -> impl Iterator<Item = i32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// A field of `/proc/PID/stat` after the name, which may hold anything: 0 is the state, 1 the parent, 19 the start.
fn stat(pid: i32, field: usize) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit_once(')')?.1.split_whitespace().nth(field)?.to_owned())
}

/// Who carries the mark of the stage in `folder`, or names a file in it on the command line.
pub(super) fn of_folder(folder: &Path) -> Vec<i32> {
    let mark = format!("{}={}", super::MARK, folder.display());
    let inside = format!("{}/", folder.display());
    let words = |pid: i32, file: &str| {
        let bytes = fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        String::from_utf8_lossy(&bytes).split('\0').map(str::to_owned).collect::<Vec<_>>()
    };
    ids()
        .filter(|pid| {
            words(*pid, "environ").contains(&mark)
                || words(*pid, "cmdline").iter().any(|w| w.contains(&inside))
        })
        .collect()
}
