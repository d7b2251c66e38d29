//! The trace a request belongs to: the client's, if it sent one (W3C Trace Context); an order's, where it is about one;
//! else one of its own.

use std::{
    convert::Infallible,
    sync::{Arc, OnceLock},
};

use axum::{
    extract::{FromRequestParts, MatchedPath, Request},
    http::{HeaderMap, request::Parts},
    middleware::Next,
    response::Response,
};
use banyan_kernel::{OrderId, TRACED, TraceParent};
use orders_api::OrderView;
use tracing::{Instrument, Span, field::Empty};
use uuid::Uuid;

/// What a request is part of, and its own span in it.
#[derive(Clone)]
pub(crate) struct RequestTrace {
    /// The client's span, if it named a valid one; an invalid one is ignored, as the recommendation says.
    client: Option<TraceParent>,
    /// The request's own, where traces are collected.
    own: Option<TraceParent>,
    /// Where the request turned out to belong.
    joined: Arc<OnceLock<(TraceParent, Option<TraceParent>)>>,
    span: Span,
}

impl RequestTrace {
    fn of(headers: &HeaderMap, span: Span) -> Self {
        let header = headers.get("traceparent").and_then(|value| value.to_str().ok());
        let client: Option<TraceParent> = header.and_then(|text| text.parse().ok());
        let own = banyan_host::collects_traces().then(|| own(client));
        if let Some(trace) = own.or(client) {
            span.record("correlation", trace.correlation());
        }
        Self { client, own, joined: Arc::default(), span }
    }

    /// What is asked for by this request; below the root of `id` where nobody began a trace.
    pub(crate) fn or_root(&self, id: Uuid) -> TraceParent {
        self.own.or(self.client).unwrap_or_else(|| TraceParent::root(id))
    }

    /// For an order that this request may place: its trace is the client's, or begins with the order.
    pub(crate) fn to_begin(&self, order: OrderId) -> TraceParent {
        let root = TraceParent::root(order.0);
        let trace = match (self.own, self.client) {
            (Some(own), Some(_)) => own,
            (Some(own), None) => within(root.trace_id(), own),
            (None, client) => client.unwrap_or(root),
        };
        self.say(order, &trace);
        trace
    }

    /// It was placed by this request and by no earlier one: the request is the beginning of its trace.
    pub(crate) fn began(&self, order: OrderId) {
        if self.own.is_some() {
            let _ = self.joined.set((self.to_begin(order), self.client));
        }
    }

    /// For what is asked about an order: in the client's trace, or in the order's.
    pub(crate) fn about(&self, order: &OrderView) -> TraceParent {
        let id = u128::from_str_radix(&order.correlation, 16).unwrap_or(order.id.0.as_u128());
        let of_order = TraceParent::root(Uuid::from_u128(id)).of_order(order.id);
        let trace = match (self.own, self.client) {
            (Some(own), Some(_)) => own,
            (Some(own), None) => {
                let trace = within(id, own);
                let _ = self.joined.set((trace, Some(of_order)));
                trace
            }
            (None, client) => client.unwrap_or(of_order),
        };
        self.say(order.id, &trace);
        trace
    }

    /// For the log lines that follow.
    fn say(&self, order: OrderId, trace: &TraceParent) {
        self.span.record("order", tracing::field::display(order));
        self.span.record("correlation", trace.correlation());
    }
}

/// A new span, in the client's trace or in one of its own.
fn own(client: Option<TraceParent>) -> TraceParent {
    let (trace, id) = (Uuid::new_v4().as_u128(), Uuid::new_v4().as_u64_pair().1);
    let trace = client.map_or(trace, |client| client.trace_id());
    TraceParent::new(trace, id, banyan_host::head(client, trace).unwrap_or(true))
}

/// The request's own span as one of another trace, collected as that one is.
fn within(trace: u128, own: TraceParent) -> TraceParent {
    TraceParent::new(trace, own.span_id(), banyan_host::head(None, trace).unwrap_or(true))
}

/// A span for each request of the API and of the admin API; what it is called, and what it answered. No path, no query, no body. Of the level of
/// an error, so that what goes wrong below it is logged with the order and its correlation id.
pub(crate) async fn trace(mut request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    let is_traced = |route: &String| ["/v1/", "/admin/"].iter().any(|part| route.starts_with(part));
    let Some(route) = route.filter(is_traced) else {
        return next.run(request).await;
    };
    let method = request.method().clone();
    let span = tracing::error_span!(
        target: TRACED, "request", name = format!("{method} {route}"), kind = "server",
        http.request.method = method.as_str(), http.route = route, http.response.status_code = Empty,
        order = Empty, correlation = Empty, trace = Empty, parent = Empty, error = Empty,
    );
    let trace = RequestTrace::of(request.headers(), span.clone());
    request.extensions_mut().insert(trace.clone());
    let response = next.run(request).instrument(span.clone()).await;
    span.in_scope(|| tracing::debug!(status = response.status().as_u16(), "answered"));
    let joined = trace.joined.get().copied().or(trace.own.map(|own| (own, trace.client)));
    if let Some((own, parent)) = joined {
        span.record("http.response.status_code", response.status().as_u16());
        span.record("trace", tracing::field::display(own));
        if let Some(parent) = parent {
            span.record("parent", tracing::field::display(parent));
        }
        if response.status().is_server_error() {
            span.record("error", response.status().as_str());
        }
    }
    response
}

impl<S: Send + Sync> FromRequestParts<S> for RequestTrace {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let known = parts.extensions.get::<Self>().cloned();
        Ok(known.unwrap_or_else(|| Self::of(&parts.headers, Span::none())))
    }
}
