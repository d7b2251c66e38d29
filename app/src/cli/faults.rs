//! `banyan break` and `banyan mend`

use std::process::ExitCode;

use clap::{ArgGroup, Args, ValueEnum};
use reqwest::Method;
use serde_json::json;

use super::{Common, client::Client};

/// Turns one fault of the outside up for a while.
#[derive(Args)]
#[command(group(ArgGroup::new("fault").required(true)))]
pub(super) struct BreakArgs {
    /// Who breaks.
    #[arg(value_enum)]
    target: Target,
    /// Does it, never answers: for how many questions, `50%`.
    #[arg(long, group = "fault", value_parser = percent, value_name = "PERCENT")]
    timeout: Option<f64>,
    /// Answers too late.
    #[arg(long, group = "fault", value_parser = percent, value_name = "PERCENT")]
    late: Option<f64>,
    /// Hears each question twice.
    #[arg(long, group = "fault", value_parser = percent, value_name = "PERCENT")]
    twice: Option<f64>,
    /// Refuses.
    #[arg(long, group = "fault", value_parser = percent, value_name = "PERCENT")]
    refuse: Option<f64>,
    /// Does it, answers nonsense.
    #[arg(long, group = "fault", value_parser = percent, value_name = "PERCENT")]
    garbage: Option<f64>,
    /// Is away; nothing is done.
    #[arg(long, group = "fault", value_parser = percent, value_name = "PERCENT")]
    down: Option<f64>,
    /// For how long, `30s` or `5m`, at most an hour.
    #[arg(long = "for", value_parser = seconds, value_name = "TIME")]
    duration: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Target {
    Gateway,
    Carrier,
}

fn percent(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<f64>().ok();
    number
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| "give a percentage, 0% to 100%".to_owned())
}

fn seconds(text: &str) -> Result<u64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let factor = match unit {
        "s" | "" => 1,
        "m" => 60,
        _ => return Err("give a time as 30s or 5m".to_owned()),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
    seconds.filter(|s| (1..=3_600).contains(s)).ok_or_else(|| "give a time of 1s to 60m".to_owned())
}

pub(super) async fn turn_up(common: &Common, args: &BreakArgs) -> Result<ExitCode, String> {
    let kinds = [
        ("timeout", args.timeout),
        ("late", args.late),
        ("twice", args.twice),
        ("refuse", args.refuse),
        ("garbage", args.garbage),
        ("down", args.down),
    ];
    let Some((fault, percent)) = kinds.into_iter().find_map(|(kind, p)| Some((kind, p?))) else {
        return Err("say which fault".to_owned());
    };
    let target = match args.target {
        Target::Gateway => "gateway",
        Target::Carrier => "carrier",
    };
    let client = Client::find(common)?;
    let wish = json!({"target": target, "fault": fault, "percent": percent, "seconds": args.duration});
    client.value(client.admin(Method::POST, "/admin/break").json(&wish)).await?;
    say!("{target}: {fault} for {percent} % of questions, for {} s; banyan mend ends it", args.duration);
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn mend(common: &Common) -> Result<ExitCode, String> {
    let client = Client::find(common)?;
    client.value(client.admin(Method::DELETE, "/admin/break")).await?;
    say!("mended");
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_and_times_are_parsed_not_guessed() {
        assert_eq!(percent("50%"), Ok(50.0));
        assert!(
            percent("101%").is_err()
                && percent("-1").is_err()
                && percent("half").is_err()
                && percent("NaN").is_err()
        );
        assert_eq!((seconds("30s"), seconds("5m")), (Ok(30), Ok(300)));
        assert!(
            seconds("0s").is_err()
                && seconds("2h").is_err()
                && seconds("61m").is_err()
                && seconds("s").is_err()
        );
    }
}
