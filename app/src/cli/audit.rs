//! `banyan audit`

use std::process::ExitCode;

use clap::Args;
use reqwest::Method;

use super::{Common, client::Client};
use crate::audit::Audit;

/// Judges what must always be true.
#[derive(Args)]
pub(super) struct AuditArgs {
    /// As JSON.
    #[arg(long)]
    json: bool,
}

pub(super) async fn audit(common: &Common, args: &AuditArgs) -> Result<ExitCode, String> {
    let client = Client::find(common)?;
    let audit: Audit = client.json(client.admin(Method::POST, "/admin/audit")).await?;
    if args.json {
        say!("{}", serde_json::to_string_pretty(&audit).map_err(|error| error.to_string())?);
    } else {
        say!("{}", text(&audit).trim_end());
    }
    Ok(if audit.is_clean() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One line per check, then what was found.
pub(super) fn text(audit: &Audit) -> String {
    let book = audit.book_lines.map_or("no outside book to compare".to_owned(), |lines| {
        format!("{lines} lines of the outside's book")
    });
    let mut text = format!(
        "audit: {} orders settled, {} open, {} stuck; {book}\n",
        audit.settled, audit.open, audit.stuck
    );
    for check in &audit.checks {
        let word = if check.violations == 0 {
            "holds".to_owned()
        } else {
            format!("VIOLATED {} times", check.violations)
        };
        text.push_str(&format!("  {:<10} {word}\n", check.name));
        check.named.iter().for_each(|what| text.push_str(&format!("           {what}\n")));
    }
    text.push_str(if audit.is_clean() { "clean\n" } else { "NOT CLEAN\n" });
    text
}
