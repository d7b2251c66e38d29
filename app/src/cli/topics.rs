//! `banyan topics`

use std::process::ExitCode;

use clap::{Args, Subcommand};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Common, client::Client};

#[derive(Args)]
pub(super) struct TopicsArgs {
    #[command(subcommand)]
    command: Option<TopicsCommand>,
    /// As JSON, with each slot's owner and offset.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum TopicsCommand {
    /// Makes a source's topic anew from its outbox: it is deleted, all is published again, and who hears it begins with the oldest
    /// record and passes over what was applied.
    Recover {
        /// Who tells: a module's name.
        source: String,
        /// Why.
        #[arg(long)]
        reason: String,
    },
}

/// Publishing again is not waited for; deleting a topic of a busy cluster is.
const RECOVER: std::time::Duration = std::time::Duration::from_secs(120);

pub(super) async fn topics(common: &Common, args: TopicsArgs) -> Result<ExitCode, String> {
    let client = Client::find(common)?;
    match args.command {
        Some(TopicsCommand::Recover { source, reason }) => {
            let request = client.admin(Method::POST, &format!("/admin/topics/{source}/recover"));
            client.value(request.timeout(RECOVER).json(&json!({"reason": reason}))).await?;
            say!(
                "{source}: its topic is made anew and filled from its outbox; `banyan topics` shows how far"
            );
        }
        None => {
            let answer = client.value(client.admin(Method::GET, "/admin/topics")).await?;
            if args.json {
                say!("{}", serde_json::to_string_pretty(&answer).map_err(|error| error.to_string())?);
            } else {
                answer["topics"].as_array().into_iter().flatten().for_each(show);
                answer["away"].as_array().into_iter().flatten().for_each(show_away);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn show(topic: &Value) {
    let kept =
        topic["retention_s"].as_u64().map_or("?".to_owned(), |seconds| format!("{} h", seconds / 3_600));
    match topic["cluster"].as_str() {
        Some(cluster) => say!(
            "{}: {} partitions, {} records, kept {kept}, cluster {cluster}",
            text(&topic["topic"]),
            topic["partitions"],
            topic["records"]
        ),
        None => say!("{}: there is no such topic", text(&topic["topic"])),
    }
    for group in topic["groups"].as_array().into_iter().flatten() {
        let lag = group["lag"].as_i64().map_or("?".to_owned(), |lag| lag.to_string());
        let slots = || group["slots"].as_array().into_iter().flatten();
        say!("    {:<26} lag {lag:>8}  {}", text(&group["group"]), owners(slots()));
        let mut stopped = slots().filter(|slot| slot["stopped"].is_string());
        if let Some(first) = stopped.next() {
            let others = stopped.count();
            say!("        {} slots are stopped, the first since {}", others + 1, text(&first["stopped"]));
        }
    }
}

/// A process that did not say: its groups are missing above.
fn show_away(process: &Value) {
    let [module, address, why] = ["module", "address", "why"].map(|name| text(&process[name]));
    say!("{module} at {address} does not say how its groups stand: {why}");
}

/// `0-3 of 7f3a..., 4-7 of nobody`: the first eight letters tell shops apart.
fn owners<'a>(slots: impl Iterator<Item = &'a Value>) -> String {
    let mut runs: Vec<(String, u64, u64)> = Vec::new();
    for slot in slots {
        let owner: String = slot["owner"].as_str().unwrap_or("nobody").chars().take(8).collect();
        let at = slot["slot"].as_u64().unwrap_or_default();
        match runs.last_mut() {
            Some((last, _, to)) if *last == owner => *to = at,
            _ => runs.push((owner, at, at)),
        }
    }
    let runs: Vec<String> =
        runs.into_iter().map(|(owner, from, to)| format!("{from}-{to} of {owner}")).collect();
    runs.join(", ")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
