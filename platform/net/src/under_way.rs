//! Counts the requests under way on a connection: from a complete head to the last byte of the answer's body.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::Request,
    response::Response,
};
use futures::future::BoxFuture;
use hyper::body::{Frame, SizeHint};
use tokio::sync::watch;
use tower::Service;

/// A service whose requests are counted.
#[derive(Clone)]
pub(crate) struct UnderWay<S> {
    service: S,
    requests: watch::Sender<u32>,
}

/// One request; it is over when this goes.
struct One(watch::Sender<u32>);

impl One {
    fn begin(requests: &watch::Sender<u32>) -> Self {
        requests.send_modify(|requests| *requests += 1);
        Self(requests.clone())
    }
}

impl Drop for One {
    fn drop(&mut self) {
        self.0.send_modify(|requests| *requests -= 1);
    }
}

impl<S> UnderWay<S> {
    pub(crate) fn over(service: S, requests: watch::Sender<u32>) -> Self {
        Self { service, requests }
    }
}

impl<S, B> Service<Request<B>> for UnderWay<S>
where
    S: Service<Request<B>, Response = Response>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let one = One::begin(&self.requests);
        let answer = self.service.call(request);
        Box::pin(async move { Ok(answer.await?.map(|body| Body::new(Counted { body, _one: one }))) })
    }
}

/// The body of an answer, which is under way as long as it is there.
struct Counted {
    body: Body,
    _one: One,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
