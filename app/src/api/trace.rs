//! The trace a request belongs to: the client's, if it sent one (W3C Trace Context).

use std::convert::Infallible;

use axum::{extract::FromRequestParts, http::request::Parts};
use banyan_kernel::{OrderId, TraceParent};

/// The client's trace, if it sent a valid one; an invalid one is ignored, as the recommendation says.
pub(crate) struct ClientTrace(Option<TraceParent>);

impl ClientTrace {
    /// The client's, or one that begins with the order.
    pub(crate) fn or_root(&self, order: OrderId) -> TraceParent {
        self.0.unwrap_or_else(|| TraceParent::root(order.0))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ClientTrace {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        let header = parts.headers.get("traceparent").and_then(|value| value.to_str().ok());
        Ok(Self(header.and_then(|text| text.parse().ok())))
    }
}
