//! Calls to the outside: one page that reads from the outer layer to the inner ([`Caller::call`]); what is
//! recorded of a call before it is made ([`Intent`]); how a command goes that needs one ([`ask()`]); and who finds
//! what has no outcome yet ([`Reconciler`]). A module that calls somebody is a [`Desk`].
//!
//! There is no retry in the page: who calls has a durable retry of its own, under the same idempotency key.

mod ask;
mod breaker;
mod callee;
mod desk;
mod intent;
mod reconcile;
#[cfg(test)]
mod tests;

pub use ask::{Judge, ask};
pub use breaker::{Admission, Breaker, Room, Turned};
pub use callee::{Callee, Secret};
pub use desk::{Changes, Desk, Judged, Record, trace_id, under_way};
pub use intent::{BACK_OFF_MAX, Intent, Outcome, Timing};
pub use reconcile::Reconciler;
pub use reqwest::Method;

use std::sync::{
    LazyLock, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicU64, Ordering},
};

use banyan_kernel::{Json, TRACED, TraceParent};
use opentelemetry::{
    KeyValue, global,
    metrics::{Counter, Histogram},
};
use tokio::{
    sync::{Semaphore, watch},
    time::{Instant, timeout},
};
use tracing::{Instrument, field::Empty};

/// A longer answer is not read to its end.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
/// How JSON writes it.
const NUL: &[u8] = br"\u0000";
/// Calls under way at once; one more is refused rather than queued.
const AT_ONCE_MAX: usize = 256;

/// The way to one callee.
pub struct Caller {
    name: &'static str,
    callee: Callee,
    client: reqwest::Client,
    bulkhead: Semaphore,
    breaker: Mutex<Breaker>,
    /// What the last call met with, unless it was answered.
    trouble: Mutex<Option<CallError>>,
    closed: watch::Sender<u64>,
    /// Counts them, so that each has a span of its own.
    calls: AtomicU64,
}

/// One request.
#[derive(Debug)]
pub struct Call<'a> {
    /// The trace it belongs to.
    pub trace: &'a TraceParent,
    /// The step it is for; names its span.
    pub step: &'a str,
    /// How.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Content type and text.
    pub body: Option<(&'static str, String)>,
    /// Under which a repeat is recognised.
    pub key: Option<String>,
    /// Which sending of the same key this is, from 1.
    pub delivery: i32,
}

/// What was answered, in JSON. Statuses that say nothing of the request are errors, see [`CallError`].
#[derive(Clone, Debug)]
pub struct Reply {
    /// 2xx, or one of 4xx that is about the request itself.
    pub status: u16,
    /// The body.
    pub body: Json,
}

/// Why there is no [`Reply`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// Nothing left this process.
    #[error("not sent: {0}")]
    NotSent(&'static str),
    /// Whether it was done is unknown: no answer, or one that says to come back later.
    #[error("no answer: {0}")]
    NoAnswer(String),
    /// Answered, in words that are not understood.
    #[error("not understood: {0}")]
    Garbage(String),
    /// The same key is being worked on.
    #[error("the callee is still at it")]
    InProgress,
    /// We are not who we should be: the configuration is wrong.
    #[error("the callee does not let us in ({0}): check the secret")]
    Forbidden(u16),
}

impl Caller {
    /// The way to `callee`, called `name` in logs.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(name: &'static str, callee: Callee) -> Result<Self, reqwest::Error> {
        let client = crate::client()
            .http1_only()
            .connect_timeout(callee.time_out)
            .pool_max_idle_per_host(callee.at_once)
            .build()?;
        let (bulkhead, closed) = (Semaphore::new(AT_ONCE_MAX), watch::Sender::new(0));
        let (breaker, trouble) = (Mutex::default(), Mutex::default());
        Ok(Self { name, callee, client, bulkhead, breaker, trouble, closed, calls: AtomicU64::default() })
    }

    /// Sends one request once. Outer to inner:
    ///
    /// 1. trace: a span of its own per delivery, told to the callee with the correlation id;
    /// 2. bulkhead: what does not fit is refused, not queued;
    /// 3. breaker: who does not answer is not asked for a while;
    /// 4. deadline: as there is one attempt, the time-out of the attempt is the whole of it;
    /// 5. client: one pool of kept-alive connections, a bounded answer.
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(&self, call: Call<'_>) -> Result<Reply, CallError> {
        let nth = self.calls.fetch_add(1, Ordering::Relaxed);
        let trace = call.trace.child(&format!("{} {} {} {nth}", self.name, call.step, call.delivery));
        let span = tracing::info_span!(
            target: TRACED, "call", name = format!("{} {}", self.name, call.step), kind = "client",
            trace = %trace, parent = %call.trace, callee = self.name, step = call.step, delivery = call.delivery,
            http.request.method = call.method.as_str(), http.response.status_code = Empty, outcome = Empty,
            error = Empty,
        );
        let result = self.logged(&trace, &call).instrument(span.clone()).await;
        let outcome = outcome(&result);
        span.record("outcome", outcome);
        match &result {
            Ok(reply) => span.record("http.response.status_code", reply.status),
            Err(_) => span.record("error", outcome),
        };
        result
    }

    async fn logged(&self, trace: &TraceParent, call: &Call<'_>) -> Result<Reply, CallError> {
        let began = Instant::now();
        let result = self.within_bulkhead(trace, call).await;
        self.remember(&result);
        measured(self.name, call.step, &result, began);
        let (callee, correlation) = (self.name, trace.correlation());
        match &result {
            Ok(reply) => {
                tracing::debug!(callee, correlation, step = call.step, key = ?call.key, status = reply.status, "answered");
            }
            Err(error @ (CallError::Garbage(_) | CallError::Forbidden(_))) => {
                tracing::warn!(callee, correlation, step = call.step, key = ?call.key, delivery = call.delivery, %error, "no outcome");
            }
            // One call without an answer is everyday; the breaker says aloud when they are many.
            Err(error) => {
                tracing::info!(callee, correlation, step = call.step, key = ?call.key, delivery = call.delivery, %error, "no outcome");
            }
        }
        result
    }

    async fn within_bulkhead(&self, trace: &TraceParent, call: &Call<'_>) -> Result<Reply, CallError> {
        let _room = self.bulkhead.try_acquire().map_err(|_| CallError::NotSent("too many calls at once"))?;
        self.behind_breaker(trace, call).await
    }

    async fn behind_breaker(&self, trace: &TraceParent, call: &Call<'_>) -> Result<Reply, CallError> {
        let admission = self.breaker().admit(Instant::now());
        let admission = admission.ok_or(CallError::NotSent("the callee has not answered for a while"))?;
        let mut report = Report { caller: self, admission: Some(admission) };
        let result = self.in_time(trace, call).await;
        report.tell(!matches!(result, Err(CallError::NoAnswer(_) | CallError::Garbage(_))));
        result
    }

    async fn in_time(&self, trace: &TraceParent, call: &Call<'_>) -> Result<Reply, CallError> {
        let late = |_| CallError::NoAnswer(format!("within {:?}", self.callee.time_out));
        timeout(self.callee.time_out, self.exchange(trace, call)).await.map_err(late)?
    }

    async fn exchange(&self, trace: &TraceParent, call: &Call<'_>) -> Result<Reply, CallError> {
        let url = format!("{}{}", self.callee.base_url.trim_end_matches('/'), call.path);
        let mut request = self
            .client
            .request(call.method.clone(), url)
            .bearer_auth(self.callee.secret.reveal())
            .header("traceparent", trace.for_others())
            .header("Banyan-Correlation", trace.correlation())
            .header("Banyan-Try", call.delivery.max(1).to_string());
        if let Some(key) = &call.key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some((content_type, body)) = &call.body {
            request = request.header("Content-Type", *content_type).body(body.clone());
        }
        let lost = |error: reqwest::Error| CallError::NoAnswer(error.without_url().to_string());
        let response = request.send().await.map_err(lost)?;
        read(response).await
    }

    /// How many calls would be let through now.
    #[must_use]
    pub fn room(&self) -> Room {
        self.breaker().room(Instant::now())
    }

    /// Why nobody need wait for an answer just now, where that is known: for people, and for who asks again later.
    #[must_use]
    pub fn away(&self) -> Option<String> {
        let trouble = locked(&self.trouble).clone();
        match (self.room(), trouble) {
            (_, Some(forbidden @ CallError::Forbidden(_))) => Some(forbidden.to_string()),
            (Room::Free, _) => None,
            (Room::Probe | Room::Shut, Some(why)) => {
                Some(format!("the {} does not answer: {why}", self.name))
            }
            (Room::Probe | Room::Shut, None) => Some(format!("the {} does not answer", self.name)),
        }
    }

    fn remember(&self, result: &Result<Reply, CallError>) {
        match result {
            Ok(_) => *locked(&self.trouble) = None,
            // Says nothing of the callee.
            Err(CallError::NotSent(_) | CallError::InProgress) => {}
            Err(error) => *locked(&self.trouble) = Some(error.clone()),
        }
    }

    /// Changes when the callee answers again after a while without.
    #[must_use]
    pub fn closed(&self) -> watch::Receiver<u64> {
        self.closed.subscribe()
    }

    /// Whom it calls.
    #[must_use]
    pub fn callee(&self) -> &Callee {
        &self.callee
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        locked(&self.breaker)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks panics half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

static CALLS: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    global::meter("banyan")
        .f64_histogram("banyan.call.duration")
        .with_description("Calls to the outside, by callee, step and outcome")
        .with_unit("s")
        .with_boundaries(crate::SECONDS.to_vec())
        .build()
});
static TURNS: LazyLock<Counter<u64>> = LazyLock::new(|| {
    global::meter("banyan")
        .u64_counter("banyan.breaker.turns")
        .with_description("How often the breaker of a callee opened and closed")
        .build()
});

fn measured(callee: &'static str, step: &str, result: &Result<Reply, CallError>, began: Instant) {
    let step = KeyValue::new("step", step.to_owned());
    let labels = [KeyValue::new("callee", callee), step, KeyValue::new("outcome", outcome(result))];
    CALLS.record(began.elapsed().as_secs_f64(), &labels);
}

fn outcome(result: &Result<Reply, CallError>) -> &'static str {
    match result {
        Ok(_) => "answered",
        Err(CallError::NotSent(_)) => "not_sent",
        Err(CallError::NoAnswer(_)) => "no_answer",
        Err(CallError::Garbage(_)) => "garbage",
        Err(CallError::InProgress) => "in_progress",
        Err(CallError::Forbidden(_)) => "forbidden",
    }
}

/// Gives the admission back, even where the call is dropped: a lost probe would keep the breaker open.
struct Report<'a> {
    caller: &'a Caller,
    admission: Option<Admission>,
}

impl Report<'_> {
    fn tell(&mut self, answered: bool) {
        let Some(admission) = self.admission.take() else { return };
        let turned = self.caller.breaker().record(admission, answered, Instant::now());
        let callee = self.caller.name;
        if let Some(turned) = turned {
            let to = if turned == Turned::Opened { "open" } else { "closed" };
            TURNS.add(1, &[KeyValue::new("callee", callee), KeyValue::new("to", to)]);
        }
        match turned {
            Some(Turned::Opened) => {
                tracing::warn!(callee, correlation = "", "does not answer, and is not asked for a while");
            }
            Some(Turned::Closed) => {
                tracing::warn!(callee, correlation = "", "answers again");
                self.caller.closed.send_modify(|count| *count += 1);
            }
            None => {}
        }
    }
}

impl Drop for Report<'_> {
    fn drop(&mut self) {
        self.tell(false);
    }
}

async fn read(mut response: reqwest::Response) -> Result<Reply, CallError> {
    let status = response.status().as_u16();
    match status {
        401 | 403 => return Err(CallError::Forbidden(status)),
        409 => return Err(CallError::InProgress),
        408 | 425 | 429 | 500.. => return Err(CallError::NoAnswer(format!("answered {status}"))),
        _ => {}
    }
    let mut bytes = Vec::new();
    while let Some(chunk) =
        response.chunk().await.map_err(|error| CallError::NoAnswer(error.without_url().to_string()))?
    {
        if bytes.len() + chunk.len() > ANSWER_BYTES_MAX {
            return Err(CallError::Garbage(format!(
                "answered {status} with more than {ANSWER_BYTES_MAX} bytes"
            )));
        }
        bytes.extend_from_slice(&chunk);
    }
    // PostgreSQL takes no NUL in a text: an outcome with one in it could never be committed.
    let poisoned = bytes.windows(NUL.len()).any(|window| window == NUL);
    let body = serde_json::from_slice(&bytes).ok().filter(|_| !poisoned);
    let body = body.ok_or_else(|| CallError::Garbage(format!("answered {status} with what is no JSON")))?;
    Ok(Reply { status, body })
}
