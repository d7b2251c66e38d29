//! A copy of a whole cluster in one file, taken while it works, and a data directory made of it again.
//!
//! PostgreSQL's own `pg_basebackup` writes the copy as a tar archive, with the log that makes it consistent in it
//! (<https://www.postgresql.org/docs/current/app-pgbasebackup.html>); `tar` reads it. Checksums of pages are verified on
//! the way out, and one of the whole file (`seal`) before anything is made of it again. Not every package of a server brings `pg_basebackup`.

use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{self, Stdio};
use std::time::SystemTime;

use nix::fcntl::{Flock, FlockArg};

use crate::account::Account;
use crate::binaries::{Binaries, find_for};
use crate::cluster::ClusterConfig;
use crate::error::{self, Error};
use crate::initdb;
use crate::launch;
use crate::postmaster::Postmaster;
use crate::seal;
use crate::site::Site;

/// What an unfinished copy is called, after the name of the file that it becomes.
const DRAFT: &str = "banyan-backup";

/// Whether a server runs on this data directory.
pub fn is_running(data_dir: &Path) -> bool {
    Postmaster::alive(data_dir).is_some()
}

/// Copies the cluster whose server runs on `data_dir` into the file `to`, which must not be there yet and is readable by
/// its owner alone; a file of that name is there only when it is whole, and on the disk. It says that it was begun at `now`. Its size in
/// bytes.
///
/// # Errors
/// [`Error::NotRunning`], [`Error::NoTool`] and [`Error::BackupFailed`], or as the file system says.
pub async fn backup(data_dir: &Path, to: &Path, now: SystemTime) -> Result<u64, Error> {
    let binaries = find_for(data_dir)?;
    let tool = client_tool(&binaries, "pg_basebackup")?;
    let site = Site::survey(ClusterConfig::new(data_dir, binaries))?;
    let server = Postmaster::alive(&site.data_dir);
    let server = server.ok_or_else(|| Error::NotRunning { dir: site.data_dir.clone() })?;
    let running = launch::adopt(&site, server).await?;
    let failed = |action, error| Error::io(&site.data_dir, action, to, error);
    let above = to.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    remove_leftovers(above);
    let draft = beside(to, DRAFT);
    let mut file = fs::OpenOptions::new();
    let file = file
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .map_err(|e| failed("make", e))?;
    // Held as long as anybody writes: the copying process has the same open file.
    let mut file = Flock::lock(file, FlockArg::LockExclusiveNonblock)
        .map_err(|(_, errno)| failed("lock", errno.into()))?;
    let mut command = site.account.command(tool);
    command.arg("-h").arg(&running.socket_dir).args(["-p", &running.port.to_string(), "-U", &site.superuser]);
    command.args(["--format=tar", "--pgdata=-", "--wal-method=fetch", "--checkpoint=fast", "--no-password"]);
    let copied = async {
        // Not by `output`, which would take the standard output into memory.
        let child = command.stdout(file.try_clone()?).stderr(Stdio::piped()).spawn()?;
        child.wait_with_output().await
    };
    let copied = copied.await.map_err(|e| failed("write", e));
    let whole = copied.and_then(|output| {
        if !output.status.success() {
            let message = error::condense(&String::from_utf8_lossy(&output.stderr));
            return Err(Error::BackupFailed { dir: site.data_dir.clone(), message });
        }
        seal::put(&mut file, now).and_then(|()| file.sync_all()).map_err(|e| failed("write", e))?;
        // Unlike a renaming, a link does not replace a file that came in the meantime.
        fs::hard_link(&draft, to).map_err(|e| failed("make", e))?;
        initdb::sync(&site.data_dir, above)?;
        fs::metadata(to).map(|found| found.len()).map_err(|e| failed("read", e))
    });
    // What is whole has its other name by now; what is not is of no use.
    let _ = fs::remove_file(&draft);
    whole
}

/// When a file that [`backup`] wrote was begun: all that was committed before is in it. Nothing, where it does not say, as those of earlier
/// versions do not; whether it is whole, [`restore`] sees.
///
/// # Errors
/// As the file system says.
pub fn begun(backup: &Path) -> Result<Option<SystemTime>, Error> {
    let begun = fs::File::open(backup).and_then(|mut file| seal::begun(&mut file));
    begun.map_err(|error| Error::io(backup, "read", backup, error))
}

/// Makes the data directory `data_dir`, which must not be there, of a file that [`backup`] wrote, and that is as it was written. It is
/// there whole, or not at all; its server recovers when it is first started.
///
/// # Errors
/// [`Error::NotABackup`], or as the file system says.
pub async fn restore(from: &Path, data_dir: &Path) -> Result<(), Error> {
    let failed = |action, path: &Path, error| Error::io(data_dir, action, path, error);
    let mut file = fs::File::open(from).map_err(|error| failed("read", from, error))?;
    if let Some(why) = seal::broken(&mut file).map_err(|error| failed("read", from, error))? {
        return Err(Error::NotABackup { file: from.to_owned(), message: why.to_owned() });
    }
    if data_dir.exists() {
        return Err(failed("make", data_dir, io::ErrorKind::AlreadyExists.into()));
    }
    let account = Account::for_data_dir(data_dir)?;
    let above = data_dir.parent().unwrap_or(Path::new("/"));
    account.make_dirs(above).map_err(|error| failed("make", above, error))?;
    let draft = beside(data_dir, &format!("restore-{}", process::id()));
    account.make_private_dir(&draft).map_err(|error| failed("make a directory in", above, error))?;
    let made = async {
        let mut command = account.command("tar");
        command.args(["--extract", "--file=-", "-C"]).arg(&draft).stdin(file);
        let output = command.output().await.map_err(|error| failed("run", Path::new("tar"), error))?;
        if !output.status.success() || !draft.join("PG_VERSION").is_file() {
            let message = error::condense(&String::from_utf8_lossy(&output.stderr));
            return Err(Error::NotABackup { file: from.to_owned(), message });
        }
        fs::rename(&draft, data_dir).map_err(|error| failed("put in place", data_dir, error))?;
        initdb::sync(data_dir, above)
    };
    let made = made.await;
    if made.is_err() {
        let _ = fs::remove_dir_all(&draft);
    }
    made
}

/// Removes what backups left behind that were killed: drafts that nobody writes any more.
fn remove_leftovers(above: &Path) {
    for entry in fs::read_dir(above).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') || !name.ends_with(&format!(".{DRAFT}")) {
            continue;
        }
        let unwritten =
            fs::File::open(entry.path()).ok().map(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock));
        if let Some(Ok(_unwritten)) = unwritten {
            tracing::info!(draft = %entry.path().display(), "draft of a killed backup removed");
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// A client's program of the server's own version: beside the server, also where links lead to it.
fn client_tool(binaries: &Binaries, tool: &'static str) -> Result<PathBuf, Error> {
    let linked = fs::canonicalize(binaries.tool("postgres")).ok();
    let linked = linked.and_then(|server| server.parent().map(|folder| folder.join(tool)));
    let found = [Some(binaries.tool(tool)), linked].into_iter().flatten().find(|path| path.is_file());
    found.ok_or_else(|| Error::NoTool { tool, bin_dir: binaries.bin_dir.clone() })
}

/// A name of ours beside a path.
fn beside(path: &Path, what: &str) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.{what}"))
}
