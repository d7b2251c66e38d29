//! `banyan forget`

use std::process::ExitCode;

use clap::Args;
use reqwest::Method;
use serde_json::json;

use super::{Common, client::Client, token};

/// Forgets a person: name, addresses and preferences are gone; their orders and mails stay, of nobody.
#[derive(Args)]
pub(super) struct ForgetArgs {
    /// The customer: a UUID, or the name that `banyan token` was given for one.
    customer: String,
    /// Why: who asked for it, as a case number; no word about the person.
    #[arg(long)]
    reason: String,
}

pub(super) async fn forget(common: &Common, args: ForgetArgs) -> Result<ExitCode, String> {
    let client = Client::find(common)?;
    let path = format!("/admin/customers/{}/forget", token::customer(&args.customer));
    let answer =
        client.value(client.admin(Method::POST, &path).json(&json!({"reason": args.reason}))).await?;
    match answer["forgotten"].as_bool() {
        Some(true) => {
            say!("forgotten; see \"Somebody asks to be forgotten\" in RUNBOOK.md for what else keeps copies")
        }
        _ => say!("nothing was known of {}", args.customer),
    }
    Ok(ExitCode::SUCCESS)
}
