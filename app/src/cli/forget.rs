//! `banyan forget`

use std::process::ExitCode;

use banyan_kernel::CustomerId;
use clap::Args;
use reqwest::Method;
use serde_json::json;

use super::{Common, client::Client};

/// Forgets a person: name, addresses and preferences are gone; their orders and mails stay, of nobody.
#[derive(Args)]
pub(super) struct ForgetArgs {
    /// The customer, a UUID.
    customer: CustomerId,
    /// Why: who asked for it, as a case number; no word about the person.
    #[arg(long)]
    reason: String,
}

pub(super) async fn forget(common: &Common, args: ForgetArgs) -> Result<ExitCode, String> {
    let client = Client::find(common)?;
    let path = format!("/admin/customers/{}/forget", args.customer);
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
