//! `banyan reset`

use std::{fs, process::ExitCode};

use clap::Args;

use super::Common;
use crate::place::Place;

/// Deletes a stopped shop's data folder: orders, keys, the outside's book.
#[derive(Args)]
pub(super) struct ResetArgs {
    /// Without asking.
    #[arg(long)]
    yes: bool,
}

pub(super) fn reset(common: &Common, args: &ResetArgs) -> Result<ExitCode, String> {
    let data = &common.data;
    if !data.join("token-key.pem").exists() {
        return Err(format!("{} is no data folder of a shop", data.display()));
    }
    let held = Place::take(data).map_err(|error| error.to_string())?;
    if data.join("postgres/postmaster.pid").exists() {
        return Err(format!(
            "the database of {} still runs: start the shop and stop it, then reset",
            data.display()
        ));
    }
    if !args.yes && !confirmed(&data.display().to_string()) {
        return Err("nothing was deleted".to_owned());
    }
    fs::remove_dir_all(data).map_err(|error| format!("{}: {error}", data.display()))?;
    drop(held);
    say!("{} is gone", data.display());
    Ok(ExitCode::SUCCESS)
}

fn confirmed(what: &str) -> bool {
    eprint!("delete {what} with all its orders? [y/N] ");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && answer.trim().eq_ignore_ascii_case("y")
}
