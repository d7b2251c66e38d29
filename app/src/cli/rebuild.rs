//! `banyan rebuild`

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
    time::Instant,
};

use clap::Args;
use futures::StreamExt;
use reqwest::Method;
use serde_json::{Value, json};

use super::{Common, client::Client};

#[derive(Args)]
pub(super) struct RebuildArgs {
    /// The read model: `inventory.public`, `orders.list`, `orders.sales`. None: names them.
    name: Option<String>,
    /// Why; it stays in the record of dead letters that the rebuild settles.
    #[arg(long, default_value = "rebuilt by hand")]
    reason: String,
}

/// A line is never longer.
const LINE_BYTES_MAX: usize = 256 * 1024;

pub(super) async fn rebuild(common: &Common, args: RebuildArgs) -> Result<ExitCode, String> {
    let client = Client::find(common)?;
    let Some(name) = args.name else {
        let all = client.value(client.admin(Method::GET, "/admin/read-models")).await?;
        for name in all["read_models"].as_array().into_iter().flatten() {
            say!("{}", name.as_str().unwrap_or_default());
        }
        return Ok(ExitCode::SUCCESS);
    };
    let began = Instant::now();
    let request = client.admin(Method::POST, &format!("/admin/read-models/{name}/rebuild"));
    // A large shop takes longer than an answer usually may.
    let request =
        request.timeout(std::time::Duration::from_secs(24 * 3_600)).json(&json!({"reason": args.reason}));
    let mut chunks = client.send(request).await?.bytes_stream();
    let (mut buffer, mut last) = (Vec::new(), Value::Null);
    while let Some(chunk) = chunks.next().await {
        buffer.extend_from_slice(&chunk.map_err(|error| broken_off(&name, &error.without_url()))?);
        while let Some(end) = buffer.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            last = serde_json::from_slice(&line).map_err(|error| broken_off(&name, &error))?;
            show(&last["progress"]);
        }
        if buffer.len() > LINE_BYTES_MAX {
            return Err(broken_off(&name, &"a line is too long"));
        }
    }
    end_of_bar();
    if let Some(why) = last["refused"].as_str() {
        return Err(format!("{name} stays as it is: {why}"));
    }
    let rebuilt = &last["rebuilt"];
    if rebuilt.is_null() {
        return Err(broken_off(&name, &"the shop went away"));
    }
    say!(
        "{name}: {} events folded; {} keys equal to an independent fold at position {}; turned over at {} after {:.1} s",
        rebuilt["events"],
        rebuilt["keys"],
        text(&rebuilt["judged_at"]),
        text(&rebuilt["live_from"]),
        began.elapsed().as_secs_f64()
    );
    if rebuilt["letters"] != 0 {
        say!("{} dead letters of it are in the new copy, and settled", rebuilt["letters"]);
    }
    Ok(ExitCode::SUCCESS)
}

fn broken_off(name: &str, why: &dyn std::fmt::Display) -> String {
    format!(
        "the rebuild broke off ({why}); {name} is read as before, unless it was turned over in that moment"
    )
}

/// One line that is written over, on a terminal alone.
fn show(progress: &Value) {
    if progress.is_null() || !std::io::stderr().is_terminal() {
        return;
    }
    let bar = bar(text(&progress["at"]), text(&progress["end"]));
    let line = format!(
        "\r{:<9} {bar} {:>9} events  {:>9} keys judged  at {:<24}",
        text(&progress["phase"]).replace('_', " "),
        progress["events"].as_u64().unwrap_or_default(),
        progress["keys"].as_u64().unwrap_or_default(),
        text(&progress["at"]),
    );
    // A terminal that is gone is no reason to stop.
    let _ = std::io::stderr().write_all(line.as_bytes());
}

fn end_of_bar() {
    if std::io::stderr().is_terminal() {
        let _ = std::io::stderr().write_all(b"\n");
    }
}

/// How far a copy is: by transactions, within one epoch.
fn bar(at: &str, end: &str) -> String {
    const WIDTH: usize = 20;
    let parts = |text: &str| -> Option<(i64, f64)> {
        let (epoch, rest) = text.split_once('/')?;
        Some((epoch.parse().ok()?, rest.split('/').next()?.parse().ok()?))
    };
    let share = match (parts(at), parts(end)) {
        (Some((at_epoch, at)), Some((end_epoch, end))) if at_epoch == end_epoch && end > 0.0 => at / end,
        _ => 0.0,
    };
    let full = (share.clamp(0.0, 1.0) * WIDTH as f64) as usize;
    format!("[{}{}]", "#".repeat(full), ".".repeat(WIDTH - full))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
