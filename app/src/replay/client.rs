//! One request to the shop, asked until it has an answer or patience ends.

use std::time::Duration;

use rand::{Rng, SeedableRng, rngs::StdRng};
use reqwest::{Client, Method, RequestBuilder, Response, header};
use serde::{Deserialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, sleep};

use super::{
    Options,
    retry::{Heard, Patience, Verdict},
    run::Error,
};

/// Largest answer read.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// The shop as its clients see it.
pub(super) struct Shop {
    http: Client,
    base: String,
    admin: Option<String>,
    pub(super) staff_token: String,
    pub(super) patience: Patience,
    seed: u64,
}

/// A request that may be sent more than once.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) url: String,
    pub(super) token: &'a str,
    pub(super) key: Option<&'a str>,
    pub(super) body: Option<Vec<u8>>,
}

/// What the shop said in the end.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    /// The shop had said so before.
    pub(super) repeated: bool,
    pub(super) body: Vec<u8>,
    pub(super) effort: Effort,
}

/// Patience ended before there was an answer that stands.
#[derive(Debug, thiserror::Error)]
#[error("no answer after {} tries in {:.1} s: {why}", effort.tries, effort.took.as_secs_f64())]
pub(super) struct NoAnswer {
    pub(super) why: String,
    pub(super) effort: Effort,
}

/// What an answer took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Effort {
    pub(super) tries: u32,
    pub(super) took: Duration,
}

/// The shop's refusals (RFC 9457); every field may be missing.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Problem {
    r#type: String,
    title: String,
    detail: String,
}

enum Try {
    Heard { status: u16, repeated: bool, wait: Option<Duration>, body: Vec<u8> },
    Lost(String),
}

impl Shop {
    /// # Errors
    /// When an address is none.
    pub(super) fn new(options: &Options) -> Result<Self, Error> {
        let http = banyan_net::client()
            .timeout(options.patience.attempt)
            .pool_max_idle_per_host(options.in_flight)
            .build()
            .map_err(|error| Error::Usage(error.to_string()))?;
        Ok(Self {
            http,
            base: address(&options.base_url)?,
            admin: options.admin_url.as_deref().map(address).transpose()?,
            staff_token: options.staff_token.clone(),
            patience: options.patience.clone(),
            seed: options.seed,
        })
    }

    /// A public address.
    pub(super) fn public(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    /// An address of the admin listener, if it is known.
    pub(super) fn admin(&self, path: &str) -> Option<String> {
        self.admin.as_ref().map(|admin| format!("{admin}{path}"))
    }

    /// Asks until there is an answer that asking again would not change.
    pub(super) async fn ask(&self, call: &Call<'_>) -> Result<Answer, NoAnswer> {
        let began = Instant::now();
        let mut rng = self.rng_of(call);
        for tries in 1.. {
            let tried = self.send(call).await;
            let effort = Effort { tries, took: began.elapsed() };
            match self.patience.judge(tried.heard(), tries, effort.took, rng.random()) {
                Verdict::Again(wait) => sleep(wait).await,
                Verdict::GiveUp => return Err(NoAnswer { why: tried.why(), effort }),
                Verdict::Final => return tried.answer(effort),
            }
        }
        unreachable!("tries are limited by patience")
    }

    /// A basket's waits depend on the seed and its key, not on what else is in flight.
    fn rng_of(&self, call: &Call<'_>) -> StdRng {
        let named = Sha256::new().chain_update(self.seed.to_be_bytes()).chain_update(&call.url);
        StdRng::from_seed(named.chain_update(call.key.unwrap_or_default()).finalize().into())
    }

    async fn send(&self, call: &Call<'_>) -> Try {
        let sent = async {
            let response = self.request(call).send().await.map_err(|error| because(&error))?;
            heard(response).await
        };
        sent.await.unwrap_or_else(Try::Lost)
    }

    fn request(&self, call: &Call<'_>) -> RequestBuilder {
        let mut request = self.http.request(call.method.clone(), &call.url).bearer_auth(call.token);
        if let Some(key) = call.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = &call.body {
            request = request.header(header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        request
    }
}

async fn heard(mut response: Response) -> Result<Try, String> {
    let status = response.status().as_u16();
    let field = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let repeated = field("Idempotent-Replayed").is_some_and(|value| value.trim() == "true");
    let wait = field("Retry-After").and_then(|value| value.trim().parse().ok()).map(Duration::from_secs);
    let mut body = Vec::new();
    while let Some(part) = response.chunk().await.map_err(|error| because(&error))? {
        if body.len() + part.len() > ANSWER_BYTES_MAX {
            return Err(format!("an answer of more than {ANSWER_BYTES_MAX} bytes"));
        }
        body.extend_from_slice(&part);
    }
    Ok(Try::Heard { status, repeated, wait, body })
}

impl Try {
    fn heard(&self) -> Heard {
        match self {
            Self::Heard { status, wait, .. } => Heard::Status(*status, *wait),
            Self::Lost(_) => Heard::Nothing,
        }
    }

    fn why(self) -> String {
        match self {
            Self::Heard { status, body, .. } => said(status, &body),
            Self::Lost(why) => why,
        }
    }

    fn answer(self, effort: Effort) -> Result<Answer, NoAnswer> {
        match self {
            Self::Heard { status, repeated, body, .. } => Ok(Answer { status, repeated, body, effort }),
            Self::Lost(why) => Err(NoAnswer { why, effort }),
        }
    }
}

impl Answer {
    /// Whether it is a yes.
    pub(super) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// A yes, read as JSON; or why it is none.
    pub(super) fn read<T: DeserializeOwned>(&self) -> Result<T, String> {
        if !self.is_success() {
            return Err(self.refusal());
        }
        serde_json::from_slice(&self.body).map_err(|error| format!("an answer that cannot be read: {error}"))
    }

    /// What was refused and why, in one line.
    pub(super) fn refusal(&self) -> String {
        said(self.status, &self.body)
    }

    /// The refusal's name: the end of the problem's type, or the status where there is none.
    pub(super) fn problem(&self) -> String {
        let problem: Problem = serde_json::from_slice(&self.body).unwrap_or_default();
        let name = problem.r#type.rsplit(['/', ':', '#']).next().unwrap_or_default();
        let known = !name.is_empty() && problem.r#type != "about:blank";
        if known { name.to_owned() } else { format!("http_{}", self.status) }
    }
}

/// A refusal in one line.
fn said(status: u16, body: &[u8]) -> String {
    let problem: Problem = serde_json::from_slice(body).unwrap_or_default();
    let words = [problem.title, problem.detail].into_iter().filter(|word| !word.is_empty());
    std::iter::once(format!("HTTP {status}")).chain(words).collect::<Vec<_>>().join(": ")
}

/// The innermost reason; the outer ones repeat the address.
fn because(error: &reqwest::Error) -> String {
    let mut reason: &dyn std::error::Error = error;
    while let Some(inner) = reason.source() {
        reason = inner;
    }
    reason.to_string()
}

fn address(text: &str) -> Result<String, Error> {
    let url = reqwest::Url::parse(text).ok().filter(|url| url.has_host());
    match url {
        Some(url) if matches!(url.scheme(), "http" | "https") => Ok(text.trim_end_matches('/').to_owned()),
        _ => Err(Error::Usage(format!("{text:?} is no address like http://127.0.0.1:8080"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(status: u16, body: &str) -> String {
        let effort = Effort { tries: 1, took: Duration::ZERO };
        Answer { status, repeated: false, body: body.into(), effort }.problem()
    }

    #[test]
    fn a_refusal_is_named_by_its_type_or_else_by_its_status() {
        assert_eq!(problem(422, r#"{"type":"/problems/unknown_product","title":"x"}"#), "unknown_product");
        assert_eq!(problem(422, r#"{"type":"urn:banyan:price"}"#), "price");
        assert_eq!(problem(404, r#"{"type":"about:blank"}"#), "http_404");
        assert_eq!(problem(400, "<html>"), "http_400");
        assert_eq!(said(400, br#"{"title":"No","detail":"why"}"#), "HTTP 400: No: why");
    }

    #[test]
    fn addresses_are_checked_before_anything_is_sent() {
        assert_eq!(address("http://127.0.0.1:8080/").unwrap(), "http://127.0.0.1:8080");
        for bad in ["", "localhost", "127.0.0.1:80", "ftp://shop", "file:///etc"] {
            assert!(address(bad).is_err(), "{bad}");
        }
    }
}
