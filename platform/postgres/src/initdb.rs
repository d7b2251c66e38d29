//! Making a new cluster: beside the data directory, then put in place whole.

use std::fs;
use std::io;
use std::path::Path;
use std::process;

use nix::sys::statvfs::statvfs;
use tokio::sync::Mutex;

use crate::error::{self, Error};
use crate::postmaster;
use crate::site::Site;

/// A new cluster has 23 MiB of tables and 16 of log.
const CLUSTER_BYTES: u64 = 40 << 20;

/// One draft at a time in this process, since drafts bear the process's number.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// Makes a cluster where the data directory is missing or empty; a killed attempt leaves no half directory.
///
/// When another process puts its own cluster in place first, that one is taken.
pub(crate) async fn ensure(site: &Site) -> Result<(), Error> {
    let _alone = ONE_AT_A_TIME.lock().await;
    let above = site.data_dir.parent().unwrap_or(Path::new("/"));
    if site.has_cluster() {
        remove_leftovers(site, above);
        return site.account.check_reach(&site.data_dir, &site.binaries.bin_dir).await;
    }
    if !site.is_empty()? {
        return Err(Error::NotACluster { dir: site.data_dir.clone() });
    }
    site.account.make_dirs(above).map_err(|error| failed(site, "make", above, error))?;
    site.account.check_reach(above, &site.binaries.bin_dir).await?;
    remove_leftovers(site, above);
    let draft = above.join(format!("{}{}", draft_prefix(site), process::id()));
    let made = make(site, above, &draft).await;
    if made.is_err() {
        let _ = fs::remove_dir_all(&draft);
    }
    made
}

async fn make(site: &Site, above: &Path, draft: &Path) -> Result<(), Error> {
    site.account
        .make_private_dir(draft)
        .map_err(|error| failed(site, "make a directory in", above, error))?;
    check_room(site, draft)?;
    run_initdb(site, draft).await?;
    match fs::rename(draft, &site.data_dir) {
        Ok(()) => sync(&site.data_dir, above),
        Err(_) if site.has_cluster() => {
            fs::remove_dir_all(draft).map_err(|error| failed(site, "remove", draft, error))
        }
        Err(error) if matches!(error.kind(), io::ErrorKind::ResourceBusy | io::ErrorKind::CrossesDevices) => {
            Err(Error::MountPoint { dir: site.data_dir.clone() })
        }
        Err(error) => Err(failed(site, "put in place", &site.data_dir, error)),
    }
}

/// On a disk that is too small PostgreSQL's own words are not always about the disk.
fn check_room(site: &Site, draft: &Path) -> Result<(), Error> {
    // What cannot be asked is tried.
    let Ok(disk) = statvfs(draft) else { return Ok(()) };
    let free_bytes = disk.blocks_available().saturating_mul(disk.fragment_size());
    if free_bytes >= CLUSTER_BYTES {
        return Ok(());
    }
    let mib = |bytes: u64| bytes / (1 << 20);
    let why = format!("a new cluster takes {} MiB, {} are free", mib(CLUSTER_BYTES), mib(free_bytes));
    Err(Error::DiskFull { dir: site.data_dir.clone(), why })
}

async fn run_initdb(site: &Site, draft: &Path) -> Result<(), Error> {
    let mut command = site.account.command(site.binaries.tool("initdb"));
    command.arg("-D").arg(draft).args(["-U", &site.superuser, "--encoding=UTF8", "--locale=C"]);
    command.args(["--auth-local=trust", "--auth-host=reject", "--data-checksums"]);
    if !site.durable {
        command.arg("--no-sync");
    }
    // A terminal's Ctrl-C is for the shop: it stops when its start has come to its end.
    command.process_group(0);
    let output = command.output().await;
    let output = output.map_err(|error| failed(site, "run", &site.binaries.tool("initdb"), error))?;
    if output.status.success() {
        return Ok(());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    Err(error::from_words(&site.data_dir, &words).unwrap_or_else(|| Error::InitdbFailed {
        dir: site.data_dir.clone(),
        message: error::condense(&words),
    }))
}

/// The rename is durable once the folder above is.
pub(crate) fn sync(data_dir: &Path, above: &Path) -> Result<(), Error> {
    let synced = fs::File::open(above).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Error::io(data_dir, "sync", above, error))
}

/// Drafts are named after the process that makes them.
fn draft_prefix(site: &Site) -> String {
    let name = site.data_dir.file_name().unwrap_or_default().to_string_lossy();
    format!(".{name}.initdb-")
}

/// Removes the drafts of processes that are gone; one whose orphaned initdb still works is left to a later start.
fn remove_leftovers(site: &Site, above: &Path) {
    let prefix = draft_prefix(site);
    for entry in fs::read_dir(above).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let maker = name.strip_prefix(&prefix).and_then(|pid| pid.parse::<i32>().ok());
        if maker.is_some_and(is_gone) && !postmaster::is_named_by_anyone(&entry.path()) {
            tracing::info!(draft = %entry.path().display(), "draft of a killed initdb removed");
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn is_gone(pid: i32) -> bool {
    let ourselves = u32::try_from(pid) == Ok(process::id());
    let asked = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None);
    ourselves || asked == Err(nix::errno::Errno::ESRCH)
}

fn failed(site: &Site, action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::io(&site.data_dir, action, path, source)
}
