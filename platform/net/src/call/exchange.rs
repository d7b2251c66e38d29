//! Innermost: one request to one instance by HTTP, and a bounded answer.

use std::task::{Context, Poll};

use tokio::time::Instant;
use tower::Service;

use super::{Answering, Call, CallError, Callee, Credential, DEADLINE_HEADER, Reply, Style, page::To};

/// How JSON writes it.
const NUL: &[u8] = br"\u0000";

#[derive(Clone)]
pub(super) struct Exchange {
    client: reqwest::Client,
    address: String,
    credential: Credential,
    style: Style,
    answer_bytes_max: usize,
}

impl Exchange {
    pub(super) fn new(client: reqwest::Client, callee: &Callee) -> Self {
        Self {
            client,
            address: String::new(),
            credential: callee.credential.clone(),
            style: callee.style,
            answer_bytes_max: callee.answer_bytes_max,
        }
    }

    fn request(&self, call: Call) -> reqwest::RequestBuilder {
        let mut request = self
            .client
            .request(call.method, format!("{}{}", self.address, call.path))
            .bearer_auth(self.credential.bearer())
            .header("traceparent", call.trace.for_others())
            .header("Banyan-Correlation", call.trace.correlation())
            .header("Banyan-Try", call.delivery.max(1).to_string());
        if let Some(deadline) = call.deadline {
            let left = deadline.saturating_duration_since(Instant::now());
            request = request.header(DEADLINE_HEADER, left.as_millis().to_string());
        }
        if let Some(key) = &call.key {
            request = request.header("Idempotency-Key", key);
        }
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        match call.body {
            Some((content_type, body)) => request.header("Content-Type", content_type).body(body),
            None => request,
        }
    }
}

impl To for Exchange {
    fn to(&self, address: &str) -> Self {
        Self { address: address.to_owned(), ..self.clone() }
    }
}

impl Service<Call> for Exchange {
    type Response = Reply;
    type Error = CallError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Answering {
        let (request, style, bytes_max) = (self.request(call), self.style, self.answer_bytes_max);
        let lost = |error: reqwest::Error| CallError::NoAnswer(error.without_url().to_string());
        Box::pin(async move { read(request.send().await.map_err(lost)?, style, bytes_max).await })
    }
}

async fn read(mut response: reqwest::Response, style: Style, bytes_max: usize) -> Result<Reply, CallError> {
    let status = response.status().as_u16();
    match status {
        401 | 403 => return Err(CallError::Forbidden(status)),
        409 if style == Style::Gateway => return Err(CallError::InProgress),
        408 | 425 | 429 | 500.. => return Err(CallError::NoAnswer(format!("answered {status}"))),
        _ => {}
    }
    let mut bytes = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| CallError::NoAnswer(error.without_url().to_string()))?
    {
        if bytes.len() + chunk.len() > bytes_max {
            return Err(CallError::Garbage(format!("answered {status} with more than {bytes_max} bytes")));
        }
        bytes.extend_from_slice(&chunk);
    }
    // PostgreSQL takes no NUL in a text: an outcome with one in it could never be committed.
    let poisoned = bytes.windows(NUL.len()).any(|window| window == NUL);
    let body = serde_json::from_slice(&bytes).ok().filter(|_| !poisoned);
    let body = body.ok_or_else(|| CallError::Garbage(format!("answered {status} with what is no JSON")))?;
    Ok(Reply { status, body })
}
