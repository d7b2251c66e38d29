//! `banyan dlq`

use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::{Common, client::Client};

#[derive(Subcommand)]
pub(super) enum DeadLetterCommand {
    /// The dead letters of a group (`inventory.orders`, `shipping.orders`), or all groups' counts.
    List {
        /// The group.
        group: Option<String>,
    },
    /// Applies a key's letter and all that queue behind it.
    Replay {
        /// The group.
        group: String,
        /// The key: an order.
        key: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
    /// Gives a key's oldest letter up.
    Drop {
        /// The group.
        group: String,
        /// The key: an order.
        key: String,
        /// Its place, from `dlq list`.
        place: i64,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

pub(super) async fn dead_letters(common: &Common, command: DeadLetterCommand) -> Result<ExitCode, String> {
    let client = Client::find(common)?;
    let request = match command {
        DeadLetterCommand::List { group: None } => client.admin(Method::GET, "/admin/groups"),
        DeadLetterCommand::List { group: Some(group) } => {
            client.admin(Method::GET, &format!("/admin/dead-letters/{group}"))
        }
        DeadLetterCommand::Replay { group, key, reason } => client
            .admin(Method::POST, &format!("/admin/dead-letters/{group}/replay"))
            .json(&json!({"key": key, "reason": reason})),
        DeadLetterCommand::Drop { group, key, place, reason } => client
            .admin(Method::POST, &format!("/admin/dead-letters/{group}/drop"))
            .json(&json!({"key": key, "place": place, "reason": reason})),
    };
    let answer = client.value(request).await?;
    say!("{}", serde_json::to_string_pretty(&answer).map_err(|error| error.to_string())?);
    Ok(ExitCode::SUCCESS)
}
