//! `banyan route`

use std::{
    io::{IsTerminal, Write, stdout},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, builder::PossibleValuesParser};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Common, client::Client};
use crate::{
    compose::MODULES,
    routes::{WalkEnd, WalkState, words},
};

/// Shows where a module's items go, and turns its route: `--to remote --percent 25`, or in steps. A walk is the shop's: who closes this
/// terminal leaves it under way.
#[derive(Args)]
pub(super) struct RouteArgs {
    /// Whose; all that are on both sides, unless told.
    #[arg(value_parser = PossibleValuesParser::new(MODULES))]
    module: Option<String>,
    /// Turns it: to this process (`local`), to this one and in the shadow to the module's own (`shadow`), or to that (`remote`).
    #[arg(long, value_parser = ["local", "shadow", "remote"], requires = "module")]
    to: Option<String>,
    /// Of how many of a hundred keys; of all, unless told.
    #[arg(long, requires = "to", conflicts_with = "steps", value_name = "PERCENT")]
    percent: Option<f64>,
    /// Walks it to remote by these per cents, one after the other; a guard turns it back when the other side does worse.
    #[arg(long, requires = "to", value_delimiter = ',', value_name = "PERCENT")]
    steps: Vec<f64>,
    /// The least time of each step: `30s`, `2m`.
    #[arg(long, requires = "steps", default_value = "30s", value_parser = seconds, value_name = "TIME")]
    every: Duration,
    /// Stops a walk; the route stays where it is.
    #[arg(long, requires = "module", conflicts_with = "to")]
    stop: bool,
    /// Shows where answers of both sides differed.
    #[arg(long, requires = "module", conflicts_with_all = ["to", "stop"])]
    diff: bool,
    /// Why it is turned; kept with who and when.
    #[arg(long, default_value = "turned by hand")]
    reason: String,
    /// As JSON.
    #[arg(long, conflicts_with = "steps")]
    json: bool,
}

const LOOK: Duration = Duration::from_millis(500);
/// To the line's begin, and nothing behind it.
const LINE_ANEW: &str = "\r\u{1b}[K";

fn seconds(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|unit: char| unit.is_ascii_alphabetic());
    let factor = match &text[digits.len()..] {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3_600.0,
        _ => return Err("a time is 500ms, 30s, 2m or 1h".to_owned()),
    };
    let number: f64 = digits.parse().map_err(|_| "a time is 500ms, 30s, 2m or 1h".to_owned())?;
    Duration::try_from_secs_f64(number * factor).map_err(|error| error.to_string())
}

pub(super) async fn route(common: &Common, args: RouteArgs) -> Result<ExitCode, String> {
    let client = Client::find(common)?;
    let Some(module) = &args.module else {
        let all = client.value(client.admin(Method::GET, "/admin/routes")).await?;
        return shown(&args, all["routes"].as_array().map(Vec::as_slice).unwrap_or_default());
    };
    let path = format!("/admin/routes/{module}");
    let before = client.value(client.admin(Method::GET, &path)).await?;
    if args.diff {
        return differences(&args, &before);
    }
    if args.stop {
        let after = client.value(client.admin(Method::DELETE, &format!("{path}/walk"))).await?;
        return shown(&args, &[after]);
    }
    let Some(to) = &args.to else { return shown(&args, &[before]) };
    // Whoever has turned it since this was looked at is told of, and nothing is turned.
    let revision = &before["revision"];
    if args.steps.is_empty() {
        let wish = json!({"to": to, "percent": args.percent, "reason": args.reason, "revision": revision});
        let after = client.value(client.admin(Method::PUT, &path).json(&wish)).await?;
        return shown(&args, &[after]);
    }
    if to != "remote" {
        return Err("a walk is to remote: there are no steps on the way to another".to_owned());
    }
    let wish = json!({
        "steps": args.steps, "every_s": args.every.as_secs_f64(), "reason": args.reason, "revision": revision,
    });
    client.value(client.admin(Method::POST, &format!("{path}/walk")).json(&wish)).await?;
    watched(&client, &path).await
}

/// One line that is written anew, or a line for each change where nobody looks at a terminal.
async fn watched(client: &Client, path: &str) -> Result<ExitCode, String> {
    let (is_live, mut last) = (stdout().is_terminal(), String::new());
    loop {
        let route = client.value(client.admin(Method::GET, path)).await?;
        let walk: Option<WalkState> =
            serde_json::from_value(route["walk"].clone()).map_err(|error| error.to_string())?;
        let walk = walk.ok_or("the shop knows of no walk: it was started again")?;
        let line = walk_line(&route, &walk);
        if is_live {
            print!("{LINE_ANEW}{line}");
            let _ = stdout().flush();
        } else if line != last {
            say!("{line}");
        }
        if let Some(end) = walk.end {
            if is_live {
                say!("");
            }
            return Ok(if end == WalkEnd::Arrived { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        last = line;
        tokio::time::sleep(LOOK).await;
    }
}

fn walk_line(route: &Value, walk: &WalkState) -> String {
    let percent = walk.step.checked_sub(1).and_then(|step| walk.steps.get(step)).copied().unwrap_or_default();
    let side = |side: &Value| {
        let p95 = side["p95_ms"].as_f64().map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
        format!("{} items, {} failed, p95 {p95}", side["items"], side["failed"])
    };
    let end = walk.end.map_or(String::new(), |end| format!("{}: ", end_word(end)));
    format!(
        "{} step {}/{} ({percent} %)  here {}  there {}  {end}{}",
        route["module"].as_str().unwrap_or_default(),
        walk.step,
        walk.steps.len(),
        side(&route["here"]),
        side(&route["there"]),
        walk.says
    )
}

fn end_word(end: WalkEnd) -> &'static str {
    match end {
        WalkEnd::Arrived => "arrived",
        WalkEnd::TurnedBack => "turned back",
        WalkEnd::Stopped => "stopped",
        WalkEnd::Stuck => "stuck",
    }
}

fn shown(args: &RouteArgs, routes: &[Value]) -> Result<ExitCode, String> {
    if args.json {
        say!("{}", serde_json::to_string_pretty(routes).map_err(|error| error.to_string())?);
        return Ok(ExitCode::SUCCESS);
    }
    if routes.is_empty() {
        say!(
            "no module is on both sides: `make services ROUTED=inventory` starts a shop with one; README.md, \"Take it apart while it sells\""
        );
    }
    routes.iter().for_each(show);
    Ok(ExitCode::SUCCESS)
}

fn weights(value: &Value) -> String {
    words(&serde_json::from_value(value.clone()).unwrap_or_default())
}

fn show(route: &Value) {
    say!("{}: {}", route["module"].as_str().unwrap_or_default(), weights(&route["weights"]));
    for (name, side) in [("here", &route["here"]), ("there", &route["there"])] {
        let ms = |of: &str| side[of].as_f64().map_or("-".to_owned(), |ms| format!("{ms:.1} ms"));
        say!(
            "    {name:<6} {} items, {} failed, p50 {}, p95 {}",
            side["items"],
            side["failed"],
            ms("p50_ms"),
            ms("p95_ms")
        );
    }
    let compared = &route["compared"];
    say!(
        "    shadow {} same, {} different, {} moved meanwhile, {} shed",
        compared["same"],
        compared["different"],
        compared["moved"],
        compared["shed"]
    );
    for change in route["changes"].as_array().into_iter().flatten().take(5) {
        let [at, actor, why] = ["at", "actor", "why"].map(|name| change[name].as_str().unwrap_or_default());
        say!("    {at}  {actor}  {} -> {}: {why}", weights(&change["was"]), weights(&change["becomes"]));
    }
}

fn differences(args: &RouteArgs, route: &Value) -> Result<ExitCode, String> {
    if args.json {
        return shown(args, std::slice::from_ref(&route["differences"]));
    }
    let all = route["differences"].as_array().map(Vec::as_slice).unwrap_or_default();
    if all.is_empty() {
        say!("both sides have said the same ({} times)", route["compared"]["same"]);
    }
    for difference in all {
        let places = difference["places"].as_array().into_iter().flatten().filter_map(Value::as_str);
        say!(
            "{}: at {}",
            difference["operation"].as_str().unwrap_or_default(),
            places.collect::<Vec<_>>().join(", ")
        );
    }
    Ok(ExitCode::SUCCESS)
}
