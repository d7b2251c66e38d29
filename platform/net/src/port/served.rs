//! One request of a port, from its body to its answer.

use std::time::Duration;

use axum::{
    Json,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use banyan_kernel::{TRACED, TraceParent};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;
use tracing::{Instrument, field::Empty};

use super::ITEMS_MAX;
use crate::{Problem, call};

/// Which operation of which module.
#[derive(Clone, Copy)]
pub(super) struct As {
    pub(super) module: &'static str,
    pub(super) operation: &'static str,
}

/// Reads the question, and waits for its answer as long as the caller does. Who goes away cancels nothing: what was begun goes to its
/// end, and the same question finds it done.
pub(super) async fn serve<Q, R, F>(
    as_: As,
    headers: &HeaderMap,
    body: &[u8],
    items: fn(&Q) -> usize,
    ask: impl FnOnce(Q) -> F,
) -> Response
where
    Q: DeserializeOwned,
    R: Serialize + Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let question: Q = match serde_json::from_slice(body) {
        Ok(question) => question,
        Err(error) => return not_understood(&error).into_response(),
    };
    if items(&question) > ITEMS_MAX {
        let detail = format!("at most {ITEMS_MAX} items at a time");
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_items", detail).into_response();
    }
    let left = call::remaining(headers);
    if left == Some(Duration::ZERO) {
        return too_late().into_response();
    }
    let deadline = left.map(|left| Instant::now() + left);
    let work = call::until(deadline, ask(question)).instrument(span(as_, headers));
    let work = tokio::spawn(work);
    let answered = match left {
        Some(left) => tokio::time::timeout(left, work).await,
        None => Ok(work.await),
    };
    match answered {
        Ok(Ok(answer)) => Json(answer).into_response(),
        Ok(Err(error)) => {
            let As { module, operation } = as_;
            tracing::error!(%error, module, operation, correlation = "", "an answer died; the same question finds out");
            Problem::unavailable("the answer died; ask again").into_response()
        }
        Err(_) => too_late().into_response(),
    }
}

fn too_late() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too_late", "the caller's deadline has passed; ask again")
}

/// Where in the text, and never what stands there: it may be about a person.
fn not_understood(error: &serde_json::Error) -> Problem {
    let detail = format!("{:?} at line {}, column {}", error.classify(), error.line(), error.column());
    Problem::new(StatusCode::BAD_REQUEST, "not_understood", detail)
}

/// Below the caller's, where it named one.
fn span(As { module, operation }: As, headers: &HeaderMap) -> tracing::Span {
    let parent =
        headers.get("traceparent").and_then(|value| value.to_str().ok()?.parse::<TraceParent>().ok());
    let span = tracing::error_span!(
        target: TRACED, "serve", name = format!("{module} {operation}"), kind = "server", module, operation,
        correlation = Empty, trace = Empty, parent = Empty,
    );
    if let Some(parent) = parent {
        let own = parent.child(&format!("serve {module} {operation}"));
        span.record("correlation", own.correlation());
        span.record("trace", tracing::field::display(own));
        span.record("parent", tracing::field::display(parent));
    }
    span
}
