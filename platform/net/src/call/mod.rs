//! Calling another process: a gateway, a carrier, another module's service. What a call is, what comes of it, and the way to
//! one callee ([`Caller`]); the layers between are one page, [`page`].

mod attempt;
mod balance;
mod breaker;
mod callee;
mod deadline;
mod exchange;
mod guard;
mod limit;
pub mod page;
mod probe;
mod registry;
mod retry;
#[cfg(test)]
mod tests;
mod traced;

use std::{
    borrow::Cow,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::body::Bytes;
use banyan_kernel::{Json, TraceParent};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::{sync::watch, time::Instant};
use tower::{Service, ServiceExt, util::BoxCloneSyncService};
use utoipa::ToSchema;

pub use balance::{BreakerView, Choice, InstanceView, Looked};
pub use breaker::{Admission, Breaker, Counted, Room, Turned};
pub use callee::{Bounds, Callee, Credential, Secret, Style};
pub use deadline::{DEADLINE_HEADER, remaining, until};
pub use limit::Limit;
pub use probe::{EVERY as PROBED_EVERY, Probes, Says};
pub use registry::{Addresses, Location, Registry};
pub use reqwest::Method;

/// One request. A repeat of it must be harmless: it reads, or it carries a key or ids by which its callee knows it again.
#[derive(Clone, Debug)]
pub struct Call {
    /// The trace it belongs to.
    pub trace: TraceParent,
    /// The step it is for; names its span.
    pub step: Cow<'static, str>,
    /// How.
    pub method: Method,
    /// Path and query.
    pub path: String,
    /// Content type and text.
    pub body: Option<(&'static str, Bytes)>,
    /// Under which a repeat is recognised.
    pub key: Option<String>,
    /// Which sending of the same key this is, from 1; counted by a caller with a durable retry of its own.
    pub delivery: i32,
    /// How many items it asks about.
    pub items: u32,
    /// Of so many of the items an answer says that nobody could say.
    pub unanswered: fn(&Reply) -> u32,
    /// Whether it may be tried again at once; not where who calls has a durable retry of its own.
    pub again: bool,
    /// What goes to the same instance as long as it is there, where instances are chosen by it.
    pub sticky: Option<String>,
    /// After which nobody waits any more; the page sets its own where this is later or none.
    pub deadline: Option<Instant>,
    /// Beyond the page's own.
    pub headers: Vec<(&'static str, String)>,
}

impl Call {
    /// About one item.
    #[must_use]
    pub fn new(method: Method, step: &str, path: impl Into<String>, trace: TraceParent) -> Self {
        Self {
            trace,
            step: Cow::Owned(step.to_owned()),
            method,
            path: path.into(),
            body: None,
            key: None,
            delivery: 1,
            items: 1,
            unanswered: |_| 0,
            again: true,
            sticky: None,
            deadline: None,
            headers: Vec::new(),
        }
    }

    /// With a text of that type.
    #[must_use]
    pub fn body(self, content_type: &'static str, text: impl Into<Bytes>) -> Self {
        Self { body: Some((content_type, text.into())), ..self }
    }

    /// Under a key.
    #[must_use]
    pub fn key(self, key: String) -> Self {
        Self { key: Some(key), ..self }
    }

    /// As the so-manieth sending of the same.
    #[must_use]
    pub fn delivery(self, delivery: i32) -> Self {
        Self { delivery, ..self }
    }
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

/// What a layer's service gives at once.
type Answering = BoxFuture<'static, Result<Reply, CallError>>;
/// A layer and all below it.
type Layered = BoxCloneSyncService<Call, Reply, CallError>;

/// What every service of the page is. They are always ready: what does not fit is refused by the call, and nothing is queued.
trait Answers:
    Service<Call, Response = Reply, Error = CallError, Future: Send> + Clone + Send + Sync + 'static
{
}
impl<S> Answers for S where
    S: Service<Call, Response = Reply, Error = CallError, Future: Send> + Clone + Send + Sync + 'static
{
}

/// All whom this process calls: for who looks after it, as metrics are.
static KNOWN: Mutex<Vec<(&'static str, balance::Looked)>> = Mutex::new(Vec::new());

/// Somebody whom this process calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CalleeView {
    /// What it is called by who calls it.
    pub callee: String,
    /// Each of its instances.
    pub instances: Vec<InstanceView>,
}

/// All whom this process calls, by name.
#[must_use]
pub fn callees() -> Vec<CalleeView> {
    let known = locked(&KNOWN);
    let called = known.iter().filter_map(|(name, looked)| Some(((*name).to_owned(), looked.now()?)));
    let mut called: Vec<_> = called.map(|(callee, instances)| CalleeView { callee, instances }).collect();
    called.sort_by(|one, other| one.callee.cmp(&other.callee));
    called
}

/// However long an answer may take, somebody who is there takes a connection within.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);

/// Why nobody need wait for an answer just now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Away {
    /// It does not let us in: somebody must look.
    Forbids(String),
    /// It does not answer: it will, later.
    Silent(String),
}

/// The way to one callee.
pub struct Caller {
    name: &'static str,
    callee: Callee,
    page: Layered,
    instances: balance::Instances,
    /// What the last call met with, unless it was answered.
    trouble: Mutex<Option<CallError>>,
    closed: Arc<watch::Sender<u64>>,
}

impl Caller {
    /// The way to `callee`, called `name` in logs, at the address that it has.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(name: &'static str, callee: Callee) -> Result<Self, reqwest::Error> {
        let registry = Registry::fixed([callee.base_url.clone()]);
        Self::registered(name, callee, registry, Arc::default())
    }

    /// The same, at whatever addresses a registry says; `closed` counts how often it, or any other callee with the same, answers again
    /// after a while without.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn registered(
        name: &'static str,
        callee: Callee,
        registry: Registry,
        closed: Arc<watch::Sender<u64>>,
    ) -> Result<Self, reqwest::Error> {
        let client = crate::client()
            .http1_only()
            .connect_timeout(callee.time_out.min(CONNECT_WITHIN))
            .pool_max_idle_per_host(callee.at_once)
            .build()?;
        let exchange = exchange::Exchange::new(client, &callee);
        let (page, instances) = page::of(name, &callee, registry, exchange, closed.clone());
        let mut known = locked(&KNOWN);
        known.retain(|(_, looked)| looked.is_called());
        known.push((name, instances.looked()));
        drop(known);
        Ok(Self { name, callee, page, instances, trouble: Mutex::default(), closed })
    }

    /// Sends one request down the [`page`].
    ///
    /// # Errors
    /// See [`CallError`].
    pub async fn call(&self, call: Call) -> Result<Reply, CallError> {
        let result = self.page.clone().oneshot(call).await;
        self.remember(&result);
        result
    }

    /// How many calls would be let through now.
    #[must_use]
    pub fn room(&self) -> Room {
        self.instances.room()
    }

    /// Why nobody need wait for an answer just now, where that is known: for people, and for who asks again later.
    #[must_use]
    pub fn away(&self) -> Option<Away> {
        let trouble = locked(&self.trouble).clone();
        match (self.room(), trouble) {
            (_, Some(forbidden @ CallError::Forbidden(_))) => Some(Away::Forbids(forbidden.to_string())),
            (Room::Free, _) => None,
            (Room::Probe | Room::Shut, Some(why)) => {
                Some(Away::Silent(format!("the {} does not answer: {why}", self.name)))
            }
            (Room::Probe | Room::Shut, None) => {
                Some(Away::Silent(format!("the {} does not answer", self.name)))
            }
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

    /// Its instances, for who looks at them.
    #[must_use]
    pub fn looked(&self) -> Looked {
        self.instances.looked()
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
}

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing under these locks panics half-way.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What became of a call, in a word.
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

/// How many of a call's items were answered, and how many were not: what breaker and metrics count.
fn counted(call: u32, unanswered: fn(&Reply) -> u32, result: &Result<Reply, CallError>) -> Counted {
    let none = match result {
        Ok(reply) => unanswered(reply).min(call),
        Err(CallError::NoAnswer(_) | CallError::Garbage(_)) => call,
        Err(CallError::NotSent(_) | CallError::InProgress | CallError::Forbidden(_)) => 0,
    };
    Counted { answered: call - none, unanswered: none }
}
