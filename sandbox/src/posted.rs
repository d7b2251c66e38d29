//! What every posting caller sends around its body.

use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};

use crate::answer::Trouble;
use crate::digest::Digest;
use crate::step::Party;
use crate::wire::Wire;

const LARGEST_BODY_BYTES: usize = 64 * 1024;
const SLOWEST_BODY: Duration = Duration::from_secs(10);
const LONGEST_KEY: usize = 255;
const LONGEST_CORRELATION: usize = 128;

/// A request whose headers and body have arrived whole.
pub(crate) struct Envelope {
    pub(crate) body: Bytes,
    path: String,
    key: Option<String>,
    delivery: u32,
    correlation: Option<String>,
    trace: Option<String>,
    wire: Wire,
}

/// All that a delivery needs to know of its caller.
pub(crate) struct Posted {
    pub(crate) key: Option<String>,
    pub(crate) fingerprint: String,
    pub(crate) order: Option<String>,
    pub(crate) attempt: u32,
    pub(crate) delivery: u32,
    pub(crate) correlation: Option<String>,
    pub(crate) trace: Option<String>,
    pub(crate) wire: Wire,
}

impl Envelope {
    pub(crate) async fn read(request: Request, content_type: &str) -> Result<Self, Trouble> {
        let (parts, body) = request.into_parts();
        let key = key(&parts.headers)?;
        let delivery = delivery(&parts.headers)?;
        let wire = parts.extensions.get::<Wire>().cloned().unwrap_or_default();
        let whole = tokio::time::timeout(SLOWEST_BODY, to_bytes(body, LARGEST_BODY_BYTES));
        let body = whole.await.map_err(|_| Trouble::TooSlow)?.map_err(|_| Trouble::TooLarge)?;
        if !body.is_empty() && !has_type(&parts.headers, content_type) {
            return Err(Trouble::BadBody(format!("the Content-Type is {content_type}")));
        }
        Ok(Self {
            body,
            path: parts.uri.path().to_owned(),
            key,
            delivery,
            correlation: correlation(&parts.headers),
            trace: trace(&parts.headers),
            wire,
        })
    }

    /// A key that reads `ORDER/STEP/ATTEMPT` says which attempt it is.
    pub(crate) fn attempt_of_key(&self) -> Option<&str> {
        let said = self.key.as_deref()?.split('/').nth(2)?;
        attempt(Some(said)).map(|_| said)
    }

    /// With the canonical form of the body, two equal requests have equal fingerprints.
    pub(crate) fn posted(
        self,
        party: Party,
        canonical: &[u8],
        order: Option<String>,
        attempt: u32,
    ) -> Posted {
        let party: &[u8] = if party == Party::Gateway { b"gateway" } else { b"carrier" };
        Posted {
            fingerprint: Digest::of(&[party, self.path.as_bytes(), canonical]).short_hex(),
            key: self.key,
            order,
            attempt,
            delivery: self.delivery,
            correlation: self.correlation,
            trace: self.trace,
            wire: self.wire,
        }
    }
}

/// The `Banyan-Try` header.
pub(crate) fn delivery(headers: &HeaderMap) -> Result<u32, Trouble> {
    let value = headers.get("Banyan-Try").map(HeaderValue::to_str);
    attempt(value.transpose().ok().flatten().or(headers.get("Banyan-Try").map(|_| "")))
        .ok_or(Trouble::BadHeader("Banyan-Try"))
}

/// A count from 1; 1 where nothing is said.
pub(crate) fn attempt(text: Option<&str>) -> Option<u32> {
    match text {
        None => Some(1),
        Some(text) => text.parse().ok().filter(|count| *count > 0),
    }
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Trouble> {
    let Some(value) = headers.get("Idempotency-Key") else { return Ok(None) };
    let text = value.to_str().ok().filter(|text| (1..=LONGEST_KEY).contains(&text.len()));
    text.map(|text| Some(text.to_owned())).ok_or(Trouble::BadHeader("Idempotency-Key"))
}

fn has_type(headers: &HeaderMap, wanted: &str) -> bool {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().is_some_and(|essence| essence.trim().eq_ignore_ascii_case(wanted))
}

/// What is too long to be a correlation id is not recorded.
fn correlation(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("Banyan-Correlation")?.to_str().ok()?;
    (1..=LONGEST_CORRELATION).contains(&text.len()).then(|| text.to_owned())
}

/// The trace id of a W3C `traceparent`.
fn trace(headers: &HeaderMap) -> Option<String> {
    let text = headers.get("traceparent")?.to_str().ok()?;
    let id = text.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then(|| id.to_owned())
}
