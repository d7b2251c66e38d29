//! `banyan backup` and `banyan restore`

use std::{fs, path::PathBuf, process::ExitCode};

use banyan_kernel::{Clock, SystemClock, Timestamp};
use clap::Args;

use super::Common;
use crate::{forgotten::FILE as FORGOTTEN, place::Place};

/// Where the database is put that a restored one takes the place of.
const ASIDE: &str = "postgres.before-restore";

/// Copies a running shop's private database into a file, while it sells. The file holds personal data, and no key of the
/// shop's: those stay in the data folder. A database named by DATABASE_URL is copied by its own server's tools.
#[derive(Args)]
pub(super) struct BackupArgs {
    /// The file; it must not be there yet.
    file: PathBuf,
}

/// Puts a copy made by `banyan backup` in the place of a stopped shop's private database, which is kept beside it. What
/// happened since the copy was made is not in it: the next start raises every epoch, goes on with the orders that it
/// knows, and `banyan audit` names what was done outside for those that it does not.
#[derive(Args)]
pub(super) struct RestoreArgs {
    /// The file.
    file: PathBuf,
}

pub(super) async fn backup(common: &Common, args: &BackupArgs) -> Result<ExitCode, String> {
    let data_dir = common.data.join("postgres");
    if !data_dir.exists() {
        return Err(format!("{} holds no private database", common.data.display()));
    }
    if args.file.exists() {
        return Err(format!("{} is there already; name another file", args.file.display()));
    }
    let file = std::path::absolute(&args.file).map_err(|error| error.to_string())?;
    let now = SystemClock.now().into();
    let bytes = banyan_postgres::backup(&data_dir, &file, now).await.map_err(|error| error.to_string())?;
    say!("{} MiB in {}: whole, and readable by you alone", bytes.div_ceil(1 << 20), file.display());
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn restore(common: &Common, args: &RestoreArgs) -> Result<ExitCode, String> {
    if !args.file.is_file() {
        return Err(format!("there is no file {}", args.file.display()));
    }
    let place = Place::take(&common.data).map_err(|error| error.to_string())?;
    let (data_dir, aside) = (place.path("postgres"), place.path(ASIDE));
    if banyan_postgres::is_running(&data_dir) {
        let data = common.data.display();
        return Err(format!("the database of {data} still runs: start the shop and stop it, then restore"));
    }
    if aside.exists() {
        return Err(format!("{} is there from a restore before; move it away", aside.display()));
    }
    // First: killed after this, the next start raises the epochs of what is there, which does no harm.
    let begun = banyan_postgres::begun(&args.file).map_err(|error| error.to_string())?.map(Timestamp::from);
    place.mark_restored(&args.file, begun).map_err(|error| error.to_string())?;
    let was_there = data_dir.exists();
    if was_there {
        fs::rename(&data_dir, &aside).map_err(|error| format!("{}: {error}", data_dir.display()))?;
    }
    if let Err(error) = banyan_postgres::restore(&args.file, &data_dir).await {
        if was_there {
            fs::rename(&aside, &data_dir).map_err(|error| format!("{}: {error}", aside.display()))?;
        }
        place.forget_restored().map_err(|error| error.to_string())?;
        return Err(error.to_string());
    }
    say!("the database of {} is that of {}", common.data.display(), args.file.display());
    if was_there {
        say!("the one before is kept in {}", aside.display());
    }
    let since = if begun.is_some() {
        "since the copy was begun"
    } else {
        "ever (this copy does not say when it was made)"
    };
    say!("who was forgotten {since} is forgotten anew at the next start, by {FORGOTTEN} beside it");
    say!("start the shop, wait until `order stuck` lists none that goes on by itself, then `audit`");
    Ok(ExitCode::SUCCESS)
}
