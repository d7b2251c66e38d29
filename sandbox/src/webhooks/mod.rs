//! Webhooks: the gateway tells of its own accord what happened, signed, at least once, in no order.
//!
//! The book is the queue: each of its lines that is of interest becomes an event, and a file beside it says how far it was
//! told. A crash tells some of it again.

mod event;
mod faults;
mod send;

use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use tokio::time::sleep;

use crate::book::{Line, page};
use crate::sandbox::Sandbox;
use event::Event;
pub use faults::WebhookFaults;

/// Lines read at a time; the next ones wait until all that they tell was taken.
const LINES: usize = 500;
/// Events told at once.
const AT_ONCE: usize = 64;
const POSITION: &str = "webhooks.position";
const BACK_OFF: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);

/// Who is told, and of what.
#[derive(Clone)]
pub struct Webhook {
    /// `http://HOST:PORT/PATH`.
    pub url: Uri,
    /// What it is signed with.
    pub secret: String,
    /// The types of events that are of interest: `charge.refunded`, `payment_intent.succeeded`, ...
    pub events: Vec<String>,
    /// What goes wrong on the way.
    pub faults: WebhookFaults,
}

/// Tells for ever what the book says; from its end on, the first time.
pub(crate) async fn tell(sandbox: Arc<Sandbox>, to: Arc<Webhook>) {
    let path = sandbox.config.book_dir.join(POSITION);
    let mut since = match std::fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok()) {
        Some(since) => since,
        None => sandbox.book.durable(),
    };
    keep(&path, since);
    loop {
        if sandbox.book.reached(since + 1).await.is_err() {
            return;
        }
        let (book, durable) = (sandbox.book.path().to_owned(), sandbox.book.durable());
        let read = tokio::task::spawn_blocking(move || page(&book, since, LINES, durable)).await;
        match read {
            Ok(Ok((lines, next))) => {
                since = next;
                if tell_all(&sandbox, &to, &lines).await > 0 {
                    keep(&path, since);
                }
            }
            failed => {
                tracing::warn!(?failed, since, "the book cannot be read, and nobody is told");
                sleep(BACK_OFF_MAX).await;
            }
        }
    }
}

fn keep(path: &std::path::Path, since: u64) {
    // Whoever reads an old one tells some of it again.
    if let Err(error) = std::fs::write(path, since.to_string()) {
        tracing::warn!(%error, path = %path.display(), "cannot be written");
    }
}

/// Returns when all was taken; how many events it was.
async fn tell_all(sandbox: &Arc<Sandbox>, to: &Arc<Webhook>, lines: &[Line]) -> usize {
    let (mut under_way, mut count) = (tokio::task::JoinSet::new(), 0);
    for event in lines.iter().flat_map(|line| Event::of(line, &to.events)) {
        if under_way.len() == AT_ONCE {
            under_way.join_next().await;
        }
        under_way.spawn(tell_one(sandbox.clone(), to.clone(), event));
        count += 1;
    }
    while under_way.join_next().await.is_some() {}
    count
}

/// Until it was taken; what is late is told after others that happened later.
async fn tell_one(sandbox: Arc<Sandbox>, to: Arc<Webhook>, event: Event) {
    if to.faults.is_late(sandbox.config.seed, &event.id) {
        sleep(Duration::from_millis(sandbox.config.late_ms)).await;
    }
    let times = if to.faults.is_twice(sandbox.config.seed, &event.id) { 2 } else { 1 };
    for _ in 0..times {
        let mut back_off = BACK_OFF;
        while let Err(why) = send::send(&to, &event, sandbox.now().wall).await {
            tracing::info!(why, event = event.id, kind = event.kind, "not taken; it is told again");
            sleep(back_off).await;
            back_off = (back_off * 2).min(BACK_OFF_MAX);
        }
    }
}
