//! How long requests take, by operation.

use std::sync::LazyLock;

use axum::{
    extract::{MatchedPath, Request, State},
    middleware::Next,
    response::Response,
};
use opentelemetry::{KeyValue, global, metrics::Histogram};
use tokio::time::Instant;

/// Seconds, from half a millisecond to ten seconds: what people notice lies between.
pub const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

static REQUESTS: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    global::meter("banyan")
        .f64_histogram("banyan.http.request.duration")
        .with_description("From a request's head to its answer's head, by listener, method, route and status")
        .with_unit("s")
        .with_boundaries(SECONDS.to_vec())
        .build()
});

/// Records each request of a listener under its route's template, so that no id becomes a label.
pub async fn measure(State(listener): State<&'static str>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    // A made-up method is as good as any other that nobody serves.
    let method = match request.method().as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "DELETE" | "OPTIONS" | "PATCH") => known.to_owned(),
        _ => "other".to_owned(),
    };
    let response = next.run(request).await;
    let labels = [
        KeyValue::new("listener", listener),
        KeyValue::new("method", method),
        KeyValue::new("route", route.unwrap_or_else(|| "none".to_owned())),
        KeyValue::new("status", i64::from(response.status().as_u16())),
    ];
    REQUESTS.record(began.elapsed().as_secs_f64(), &labels);
    response
}
