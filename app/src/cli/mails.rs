//! `banyan mails`

use std::process::ExitCode;

use clap::Subcommand;
use reqwest::Method;
use serde_json::json;

use super::{Common, client::Client};

#[derive(Subcommand)]
pub(super) enum MailsCommand {
    /// How many mails there are of each kind, how many wait to be sent, and how many the mail server refused for good.
    Show,
    /// Has the refused ones sent again, each under the id that it has.
    Retry {
        /// Those that the mail server refused for good; there are no others to be chosen.
        #[arg(long, required = true)]
        refused: bool,
        /// Why it may go otherwise now.
        #[arg(long)]
        reason: String,
    },
}

pub(super) async fn mails(common: &Common, command: MailsCommand) -> Result<ExitCode, String> {
    let client = Client::find(common)?;
    match command {
        MailsCommand::Show => show(&client).await?,
        MailsCommand::Retry { reason, .. } => {
            let retry = client.admin(Method::POST, "/admin/mails/retry").json(&json!({"reason": reason}));
            say!("{} mails are due again", client.value(retry).await?["again"]);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(client: &Client) -> Result<(), String> {
    let mails = client.value(client.admin(Method::GET, "/admin/mails")).await?;
    for (kind, count) in mails["mails"].as_object().into_iter().flatten() {
        say!("{kind:<10} {count:>9}");
    }
    let due = &mails["due"];
    let oldest_s = due["oldest_s"].as_f64().unwrap_or_default();
    say!(
        "{} wait to be sent, the oldest for {oldest_s:.0} s; {} were refused for good",
        due["mails"],
        due["refused"]
    );
    Ok(())
}
