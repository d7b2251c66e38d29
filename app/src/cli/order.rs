//! `banyan order`

use std::{process::ExitCode, time::Duration};

use banyan_host::is_coloured;
use banyan_kernel::OrderId;
use clap::{Args, Subcommand};
use futures::StreamExt;
use orders_api::{OrderCancelled, OrderEventView, OrderShipped, OrderView, Why};
use reqwest::{Method, Response, StatusCode};
use serde_json::json;
use time::{format_description::BorrowedFormatItem, macros::format_description};

use super::{
    Common,
    client::{self, Client},
};

/// Longer than the shop keeps a stream open.
const STREAM_TIME_MAX: Duration = Duration::from_secs(900);
/// Between two looks where there is no stream.
const LOOK_EVERY: Duration = Duration::from_secs(1);

#[derive(Subcommand)]
pub(super) enum OrderCommand {
    /// One line per event: time, +ms, module, what, step, attempt, cause, who, correlation id.
    Show(ShowArgs),
    /// Why it stands where it stands.
    Why {
        /// The order.
        id: OrderId,
    },
    /// The orders that wait longest, or are stopped.
    Stuck,
    /// Gets a stopped order going again; recorded with who and why.
    Resolve(ResolveArgs),
}

#[derive(Args)]
pub(super) struct ShowArgs {
    /// The order.
    id: OrderId,
    /// Goes on until it is ended.
    #[arg(long)]
    watch: bool,
}

#[derive(Args)]
pub(super) struct ResolveArgs {
    /// The order.
    id: OrderId,
    /// Asks the step again as a new attempt.
    #[arg(long, required_unless_present = "cancel", conflicts_with = "cancel")]
    retry: bool,
    /// Turns back and undoes.
    #[arg(long)]
    cancel: bool,
    /// Why; no personal data, it stays in the order's history.
    #[arg(long)]
    reason: String,
}

pub(super) async fn order(common: &Common, command: OrderCommand) -> Result<ExitCode, String> {
    let client = Client::find(common)?;
    match command {
        OrderCommand::Show(args) => show(&client, &args).await?,
        OrderCommand::Why { id } => {
            print_why(&client.json(client.admin(Method::GET, &format!("/admin/orders/{id}/why"))).await?);
        }
        OrderCommand::Stuck => stuck(&client).await?,
        OrderCommand::Resolve(args) => resolve(&client, args).await?,
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(client: &Client, args: &ShowArgs) -> Result<(), String> {
    let path = format!("/v1/orders/{}/events", args.id);
    let mut printer = Printer { first: None, colour: is_coloured(&std::io::stdout()), seen: 0, ended: false };
    if !args.watch {
        return list(client, &path, &mut printer).await;
    }
    while !printer.ended {
        let stream = client.api(Method::GET, &path).header("accept", "text/event-stream");
        let stream = stream.header("last-event-id", printer.seen).timeout(STREAM_TIME_MAX);
        let answer = client.ask(stream).await?;
        if answer.status() == StatusCode::TOO_MANY_REQUESTS {
            // Too many are watching; looking now and then tells the same.
            list(client, &path, &mut printer).await?;
            tokio::time::sleep(LOOK_EVERY).await;
        } else {
            follow(client::success(answer).await?, &mut printer).await?;
        }
    }
    Ok(())
}

/// Prints what has happened since.
async fn list(client: &Client, path: &str, printer: &mut Printer) -> Result<(), String> {
    let request = client.api(Method::GET, path).header("last-event-id", printer.seen);
    let events: Vec<OrderEventView> = client.json(request).await?;
    events.iter().for_each(|event| printer.print(event));
    Ok(())
}

/// Prints what happens, until the shop ends the stream.
async fn follow(stream: Response, printer: &mut Printer) -> Result<(), String> {
    let mut stream = stream.bytes_stream();
    let mut text = String::new();
    while let Some(bytes) = stream.next().await {
        let bytes = bytes.map_err(|error| format!("the stream broke: {}", error.without_url()))?;
        text.push_str(&String::from_utf8_lossy(&bytes));
        while let Some(end) = text.find("\n\n") {
            let message: String = text.drain(..end + 2).collect();
            let data = message.lines().find_map(|line| line.strip_prefix("data:"));
            if let Some(event) = data.and_then(|data| serde_json::from_str(data).ok()) {
                printer.print(&event);
            }
        }
    }
    Ok(())
}

struct Printer {
    first: Option<time::OffsetDateTime>,
    colour: bool,
    /// The version of the last event that was printed.
    seen: i64,
    ended: bool,
}

const CLOCK: &[BorrowedFormatItem<'_>] = format_description!("[hour]:[minute]:[second].[subsecond digits:3]");

const MOMENT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:3]Z");

impl Printer {
    fn print(&mut self, event: &OrderEventView) {
        self.seen = event.version;
        self.ended |= matches!(event.kind.as_str(), OrderShipped::KIND | OrderCancelled::KIND);
        let since = event.at - *self.first.get_or_insert(event.at);
        let step = event.step.as_deref().unwrap_or("-");
        let attempt = event.attempt.map_or("-".to_owned(), |attempt| format!("#{attempt}"));
        let line = format!(
            "{}  {:>+7} ms  {:<9}  {:<15}  {step:<9}  {attempt:<2}  {}  by {}  {}",
            event.at.format(CLOCK).unwrap_or_default(),
            since.whole_milliseconds(),
            event.module,
            event.kind,
            event.cause.as_deref().unwrap_or("-"),
            event.actor,
            event.correlation,
        );
        let line = if event.undo && self.colour { format!("\x1b[31m{line}\x1b[0m") } else { line };
        say!("{line}");
    }
}

fn print_why(why: &Why) {
    let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    say!("order      {}", why.id);
    say!("state      {}", why.state.as_str());
    say!("step       {}", or(&why.step));
    say!("cause      {}", or(&why.cause));
    let moment = |at: time::OffsetDateTime| at.format(MOMENT).unwrap_or_default();
    say!("since      {}", moment(why.since));
    say!("next try   {}", why.next_try.map_or("-".to_owned(), moment));
    say!("waits for  {}", or(&why.waits_for));
    say!("asked      {} times without an answer", why.asked);
    say!("advice     {}", why.advice);
}

async fn stuck(client: &Client) -> Result<(), String> {
    let all: Vec<Why> = client.json(client.admin(Method::GET, "/admin/orders/stuck")).await?;
    if all.is_empty() {
        say!("no order is stuck");
    }
    for why in all {
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        say!(
            "{}  {}  {}  since {}  next try {}  waits for {}  {}",
            why.id,
            why.state.as_str(),
            text(&why.step),
            why.since.format(CLOCK).unwrap_or_default(),
            why.next_try.map_or("-".to_owned(), |at| at.format(CLOCK).unwrap_or_default()),
            text(&why.waits_for),
            text(&why.cause),
        );
    }
    Ok(())
}

async fn resolve(client: &Client, args: ResolveArgs) -> Result<(), String> {
    let how = if args.retry { "retry" } else { "cancel" };
    let request = client.admin(Method::POST, &format!("/admin/orders/{}/resolve", args.id));
    let order: OrderView = client.json(request.json(&json!({"how": how, "reason": args.reason}))).await?;
    say!("{} is {}", order.id, order.state.as_str());
    Ok(())
}
