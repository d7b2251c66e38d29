//! `banyan flags`

use std::process::ExitCode;

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::{Common, client::Client};
use crate::{flags::FlagView, routes::words};

#[derive(Args)]
pub(super) struct FlagsArgs {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn flags(common: &Common, args: FlagsArgs) -> Result<ExitCode, String> {
    let client = Client::find(common)?;
    let answer: Value = client.value(client.admin(Method::GET, "/admin/flags")).await?;
    if args.json {
        say!("{}", serde_json::to_string_pretty(&answer).map_err(|error| error.to_string())?);
        return Ok(ExitCode::SUCCESS);
    }
    let flags: Vec<FlagView> =
        serde_json::from_value(answer["flags"].clone()).map_err(|error| error.to_string())?;
    for flag in &flags {
        let state = match flag.enabled {
            Some(true) => words(&flag.weights),
            Some(false) => format!("off: {}", flag.default),
            None => format!("unknown to whoever keeps flags: {}", flag.default),
        };
        let said_by = flag
            .said_by
            .map_or(String::new(), |said_by| format!(", says the {}", format!("{said_by:?}").to_lowercase()));
        say!("{}: {state}{said_by}", flag.name);
        say!("    {}", flag.purpose);
        let overdue = if flag.is_overdue { ", which is over" } else { "" };
        say!(
            "    looked after by {}, {} days old, to be gone by {}{overdue}; read in {}",
            flag.owner,
            flag.age_days,
            flag.removal,
            flag.read_in
        );
    }
    // Last, where it is seen; the next start would refuse it.
    match answer["trouble"].as_str() {
        Some(trouble) => {
            Err(format!("flags are as they were before, and the shop would not start again: {trouble}"))
        }
        None => Ok(ExitCode::SUCCESS),
    }
}
