//! `GET /sandbox/book`, `/sandbox/book/totals`, `/sandbox/book/orders/{order}`.

use std::fmt::Write as _;
use std::sync::Arc;

use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header::CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;

use crate::answer::Answer;
use crate::book::{self, Line, PageError};
use crate::sandbox::Sandbox;

const DEFAULT_LIMIT: usize = 500;
const LARGEST_LIMIT: usize = 5_000;
const MOST_LINES_OF_ORDER: usize = 1_000;

/// Which page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageQuery {
    since: Option<u64>,
    limit: Option<usize>,
}

/// Shows a page of lines, each with its offset.
pub(crate) async fn page(State(sandbox): State<Arc<Sandbox>>, Query(query): Query<PageQuery>) -> Response {
    let limit = query.limit.unwrap_or(DEFAULT_LIMIT).clamp(1, LARGEST_LIMIT);
    let (since, durable) = (query.since.unwrap_or(0), sandbox.book.durable());
    let path = sandbox.book.path().to_owned();
    let read = move || book::page(&path, since, limit, durable);
    let (lines, next) = match blocking(read).await {
        Ok(page) => page,
        Err(error) => return told(&error),
    };
    let mut body = String::from("{\"entries\":[");
    join(&mut body, &lines);
    let _ = write!(body, "],\"next\":{next},\"end\":{durable},\"more\":{}}}", next < durable);
    json_text(body)
}

/// Shows what each kind adds up to.
pub(crate) async fn totals(State(sandbox): State<Arc<Sandbox>>) -> Response {
    let (totals, end) = {
        let ledger = sandbox.ledger();
        (ledger.world.totals.clone(), ledger.tail.end())
    };
    match sandbox.book.reached(end).await {
        Ok(()) => Answer::new(StatusCode::OK, json!({ "end": end, "totals": totals })).into_response(),
        Err(reason) => Answer::problem(StatusCode::INTERNAL_SERVER_ERROR, "book", reason).into_response(),
    }
}

/// Shows the lines of one order.
pub(crate) async fn of_order(State(sandbox): State<Arc<Sandbox>>, Path(order): Path<String>) -> Response {
    let offsets: Vec<u64> =
        sandbox.ledger().world.lines_of_order(&order).iter().copied().take(MOST_LINES_OF_ORDER).collect();
    let (path, durable) = (sandbox.book.path().to_owned(), sandbox.book.durable());
    let read = move || {
        let on_disk = offsets.into_iter().filter(|offset| *offset < durable);
        on_disk.map(|offset| book::page(&path, offset, 1, durable).map(|(lines, _)| lines)).collect()
    };
    let lines: Vec<Vec<Line>> = match blocking(read).await {
        Ok(lines) => lines,
        Err(error) => return told(&error),
    };
    let mut body = format!("{{\"order\":{},\"entries\":[", json!(order));
    join(&mut body, &lines.concat());
    body.push_str("]}");
    json_text(body)
}

/// Lines are passed on as they stand in the book, with their offset put in front.
fn join(body: &mut String, lines: &[Line]) {
    for (number, line) in lines.iter().enumerate() {
        let comma = if number == 0 { "" } else { "," };
        let rest = String::from_utf8_lossy(&line.text);
        let _ = write!(body, "{comma}{{\"offset\":{},{}", line.offset, rest.trim_start_matches('{'));
    }
}

fn json_text(body: String) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> Result<T, PageError> + Send + 'static,
) -> Result<T, PageError> {
    let read = tokio::task::spawn_blocking(read).await;
    read.map_err(|error| PageError::Io(std::io::Error::other(error))).flatten()
}

fn told(error: &PageError) -> Response {
    let status = match error {
        PageError::NotALine(_) => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Answer::problem(status, "book", error.to_string()).into_response()
}
