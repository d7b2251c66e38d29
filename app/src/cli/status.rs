//! `banyan status`

use std::{io::IsTerminal, process::ExitCode, time::Duration};

use banyan_host::operations::{About, Ready};
use banyan_net::call::BreakerView;
use clap::Args;
use reqwest::Method;
use serde_json::json;

use super::{Common, client::Client};
use crate::processes::{SHOP, Status, Statuses};

#[derive(Args)]
pub(super) struct StatusArgs {
    /// Prints the table once; as it does where nobody looks at a terminal.
    #[arg(long)]
    once: bool,
    /// Prints all that is known as JSON, once.
    #[arg(long)]
    json: bool,
}

const EVERY: Duration = Duration::from_secs(1);
/// Where there is nothing to say.
const NONE: &str = "-";
/// The cursor to the top, and nothing below it.
const ANEW: &str = "\u{1b}[H\u{1b}[J";

const HEAD: [&str; COLUMNS] =
    ["module", "address", "version", "up for", "ready", "breakers open", "slots", "lag", "parked"];
const COLUMNS: usize = 9;

pub(super) async fn status(common: &Common, args: StatusArgs) -> Result<ExitCode, String> {
    let client = Client::find(common)?;
    if args.once || args.json || !std::io::stdout().is_terminal() {
        let Statuses { processes } = look(&client).await?;
        if args.json {
            let all = json!({ "processes": processes });
            say!("{}", serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?);
        } else {
            say!("{}", table(&processes));
        }
        return Ok(ExitCode::SUCCESS);
    }
    loop {
        // A shop that is away is a row like others: whoever looks waits for it.
        let processes = match look(&client).await {
            Ok(all) => all.processes,
            Err(why) => vec![Status::away(SHOP, client.running.api.clone(), why)],
        };
        say!("{ANEW}{}", table(&processes));
        tokio::time::sleep(EVERY).await;
    }
}

async fn look(client: &Client) -> Result<Statuses, String> {
    client.json(client.admin(Method::GET, "/admin/status")).await
}

/// A line for each process, in columns as wide as what stands in them.
fn table(processes: &[Status]) -> String {
    let mut lines = vec![HEAD.map(str::to_owned)];
    lines.extend(processes.iter().map(line));
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..COLUMNS).map(width).collect();
    let padded = |line: &[String; COLUMNS]| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    lines.iter().map(padded).collect::<Vec<_>>().join("\n")
}

fn line(process: &Status) -> [String; COLUMNS] {
    let (module, address) = (process.module.clone(), process.address.clone());
    let Some(about) = &process.about else {
        let why = process.why.as_deref().unwrap_or("no answer");
        let [version, up, breakers, slots, lag, parked] = [NONE; 6].map(str::to_owned);
        return [
            module,
            address,
            version,
            up,
            format!("does not answer: {why}"),
            breakers,
            slots,
            lag,
            parked,
        ];
    };
    let parked: u64 = about.groups.values().filter_map(|group| group.parked).sum();
    [
        module,
        address,
        about.version.clone(),
        up_for(about.up_for_s),
        ready(&about.readiness),
        breakers(about),
        about.slots_held.to_string(),
        lag(about),
        parked.to_string(),
    ]
}

fn up_for(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", seconds / 60),
        3_600..86_400 => format!("{} h", seconds / 3_600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// With whom it lacks, whether it needs them or not.
fn ready(readiness: &Ready) -> String {
    let lacks = readiness.dependencies.iter().filter(|(_, dependency)| !dependency.ready);
    let lacks: Vec<&str> = lacks.map(|(name, _)| name.as_str()).collect();
    let word = match (readiness.ready, readiness.draining) {
        (true, _) => "yes",
        (false, true) => "drains",
        (false, false) => "no",
    };
    if lacks.is_empty() { word.to_owned() } else { format!("{word}, without {}", lacks.join(", ")) }
}

/// Whom it does not ask just now.
fn breakers(about: &About) -> String {
    let is_open = |callee: &&banyan_net::call::CalleeView| {
        callee.instances.iter().any(|instance| instance.breaker == BreakerView::Open)
    };
    let mut open: Vec<&str> =
        about.calls.iter().filter(is_open).map(|callee| callee.callee.as_str()).collect();
    open.dedup();
    if open.is_empty() { NONE.to_owned() } else { open.join(", ") }
}

/// Of the group that is furthest behind.
fn lag(about: &About) -> String {
    let stopped: u64 = about.groups.values().map(|group| group.stopped_slots).sum();
    let most = about.groups.values().filter_map(|group| group.lag_s).reduce(f64::max);
    match (most, stopped) {
        (_, 1..) => format!("{stopped} slots stopped"),
        (Some(seconds), 0) => format!("{seconds:.1} s"),
        (None, 0) => NONE.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(change: impl FnOnce(&mut serde_json::Value)) -> Status {
        let mut about = json!({
            "name": "inventory", "version": "0.1.0", "instance": "00000000-0000-0000-0000-000000000001",
            "up_for_s": 7_300, "readiness": { "ready": true, "draining": false, "dependencies": {
                "database": { "ready": true, "needed": true }, "broker": { "ready": true, "needed": false } } },
            "groups": {}, "slots_held": 24, "calls": [], "pools": [],
        });
        for (group, lag_s, parked) in [("inventory.orders", 0.2, 2), ("inventory.public", 3.0, 1)] {
            about["groups"][group] = json!({
                "applied": 1, "duplicates": 0, "skipped": 0, "gaps": 0, "poisoned": 0, "queued": 0, "pauses": 0,
                "paused_slots": 0, "reached": { "epoch": 1, "xid": 1, "seq": 1 }, "held": 8, "stopped_slots": 0,
                "lag_s": lag_s, "parked": parked,
            });
        }
        change(&mut about);
        let process =
            json!({ "module": "inventory", "address": "http://10.0.0.1:80", "about": about, "why": null });
        serde_json::from_value(process).expect("a process")
    }

    fn check(process: &Status, expected: [&str; 7]) {
        assert_eq!(line(process)[2..], expected);
    }

    #[test]
    fn a_process_is_a_line_that_says_what_it_lacks_and_one_that_is_away_says_that() {
        check(&about(|_| {}), ["0.1.0", "2 h", "yes", "-", "24", "3.0 s", "3"]);
        let lacking = about(|about| {
            about["readiness"]["dependencies"]["broker"]["ready"] = false.into();
            about["groups"]["inventory.orders"]["stopped_slots"] = 8.into();
            let instance = json!({ "address": "http://b", "breaker": "open", "limit": 32, "under_way": 0 });
            about["calls"] = json!([{ "callee": "orders", "instances": [instance] }]);
        });
        check(&lacking, ["0.1.0", "2 h", "yes, without broker", "orders", "24", "8 slots stopped", "3"]);
        let drains = about(|about| {
            about["readiness"]["ready"] = false.into();
            about["readiness"]["draining"] = true.into();
        });
        check(&drains, ["0.1.0", "2 h", "drains", "-", "24", "3.0 s", "3"]);
        let away = Status::away("orders", "http://10.0.0.2:80".to_owned(), "refused".to_owned());
        check(&away, ["-", "-", "does not answer: refused", "-", "-", "-", "-"]);
        let text = table(&[about(|_| {}), away]);
        let columns: Vec<_> = text.lines().map(|line| line.find("http").or(line.find("address"))).collect();
        assert_eq!(columns, [Some(11); 3], "one below the other:\n{text}");
    }
}
