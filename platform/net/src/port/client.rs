//! Asks a port by HTTP, as if it were here: whatever goes wrong on the way becomes an answer.

use std::{sync::Arc, time::Duration};

use axum::body::Bytes;
use banyan_kernel::{Answer, Command, Json, TraceParent};
use serde::{Serialize, de::DeserializeOwned};
use tokio::sync::watch;
use uuid::Uuid;

use super::{DATABASE_HEADER, DatabaseIdentity, ITEMS_MAX, ServiceKey};
use crate::call::{
    Bounds, Call, CallError, Callee, Caller, Location, Looked, Method, Probes, Registry, Reply, Room,
};

const PATIENCE: Duration = Duration::from_secs(60);
const PATIENT_AT_ONCE: u32 = 16;

/// The way to a module that is elsewhere.
pub struct PortClient {
    module: &'static str,
    caller: Caller,
    /// Where both sides share one database: that it is the same one.
    shared: Option<Shared>,
}

/// Why a callee is not known to be on the same database.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// It is on another one.
    #[error("{0}")]
    Other(String),
    /// Nobody could say.
    #[error("{0}")]
    NotNow(String),
}

struct Shared {
    database: Arc<dyn DatabaseIdentity>,
    known: tokio::sync::RwLock<Option<String>>,
}

impl PortClient {
    /// By `caller`.
    #[must_use]
    pub fn new(module: &'static str, caller: Caller) -> Self {
        Self { module, caller, shared: None }
    }

    /// To a module at its instances, which are asked whether they can work, as whoever signs with this key; `closed` is raised when it answers again after a while without.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn to(
        module: &'static str,
        at: &Location,
        key: &Arc<ServiceKey>,
        probes: &Probes,
        closed: Arc<watch::Sender<u64>>,
    ) -> Result<Self, reqwest::Error> {
        let callee = Callee { probes: Some(probes.clone()), ..Callee::port("", key.credential(module)) };
        Ok(Self::new(module, Caller::registered(module, callee, Registry::of(at), closed)?))
    }

    /// To instances that are asked seldom, for work that takes its time: an attempt may last a minute.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn patient(
        module: &'static str,
        registry: Registry,
        key: &Arc<ServiceKey>,
        probes: &Probes,
    ) -> Result<Self, reqwest::Error> {
        let callee = Callee {
            time_out: PATIENCE,
            deadline: PATIENCE * 2,
            attempts: 2,
            bounds: Bounds::fixed(PATIENT_AT_ONCE),
            probes: Some(probes.clone()),
            ..Callee::port("", key.credential(module))
        };
        Ok(Self::new(module, Caller::registered(module, callee, registry, Arc::default())?))
    }

    /// Each call says which database it expects behind the callee: this one, under the same schema.
    #[must_use]
    pub fn sharing(self, database: Arc<dyn DatabaseIdentity>) -> Self {
        Self { shared: Some(Shared { database, known: tokio::sync::RwLock::default() }), ..self }
    }

    /// A batch of commands. Longer ones go in several calls.
    pub async fn batch<B, R>(&self, operation: &'static str, batch: Vec<Command<B>>) -> Vec<Answer<R>>
    where
        B: Serialize + Sync,
        R: DeserializeOwned,
    {
        let mut answers = Vec::with_capacity(batch.len());
        for part in batch.chunks(ITEMS_MAX) {
            let trace = part[0].context.trace;
            // Who sends commands sends them until they are answered.
            answers.extend(self.answered(operation, trace, part.len(), false, &part).await);
        }
        answers
    }

    /// A question with so many items, each answered.
    pub async fn each<R: DeserializeOwned>(
        &self,
        operation: &'static str,
        trace: TraceParent,
        items: usize,
        question: &(impl Serialize + Sync),
    ) -> Vec<Answer<R>> {
        self.answered(operation, trace, items, true, question).await
    }

    async fn answered<R: DeserializeOwned>(
        &self,
        operation: &'static str,
        trace: TraceParent,
        items: usize,
        again: bool,
        question: &(impl Serialize + Sync),
    ) -> Vec<Answer<R>> {
        let items_u32 = u32::try_from(items).unwrap_or(u32::MAX);
        let said =
            self.ask::<Vec<Answer<R>>>(operation, trace, (items_u32, unanswered, again), question).await;
        let instead = match said {
            Ok(answers) if answers.len() == items => return answers,
            Ok(answers) => unclear(self.module, &format!("{} answers to {items} items", answers.len())),
            Err(answer) => answer,
        };
        std::iter::repeat_with(|| instead.clone().map(|never: Never| match never {})).take(items).collect()
    }

    /// A question that is answered as a whole.
    pub async fn one<R: DeserializeOwned>(
        &self,
        operation: &'static str,
        trace: TraceParent,
        question: &(impl Serialize + Sync),
    ) -> Answer<R> {
        let said = self.ask::<Answer<R>>(
            operation,
            trace,
            (1, |reply| u32::from(is_unavailable(&reply.body)), true),
            question,
        );
        said.await.unwrap_or_else(|answer| answer.map(|never| match never {}))
    }

    /// A question whose answer always says something: where none comes, who asks falls back to an answer of their own.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn whole<A: DeserializeOwned>(
        &self,
        operation: &'static str,
        trace: TraceParent,
        question: &(impl Serialize + Sync),
    ) -> Result<A, String> {
        let said = self.ask(operation, trace, (1, |_| 0, true), question).await;
        said.map_err(|answer: Answer<Never>| match answer {
            Answer::Unavailable(why) | Answer::Broken(why) => why,
            _ => "no answer".to_owned(),
        })
    }

    /// Whether the callee is on the database that it should share.
    ///
    /// # Errors
    /// When it is not, or does not say.
    pub async fn check_database(&self) -> Result<(), CheckError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let expected = shared.identity().await.map_err(CheckError::NotNow)?;
        let call =
            Call::new(Method::POST, "database", "/v1/database", TraceParent::root(Uuid::nil()).unsampled());
        let call = Call { headers: vec![(DATABASE_HEADER, expected)], ..call }.body("application/json", "{}");
        match self.caller.call(call).await {
            Ok(Reply { status: 421, body }) => Err(CheckError::Other(word(&body["detail"]).to_owned())),
            Ok(Reply { status: 200, .. }) => Ok(()),
            Ok(reply) => Err(CheckError::NotNow(format!("answered {}", reply.status))),
            Err(error) => Err(CheckError::NotNow(error.to_string())),
        }
    }

    /// How many calls would be let through now.
    #[must_use]
    pub fn room(&self) -> Room {
        self.caller.room()
    }

    /// Its instances, for who looks at them.
    #[must_use]
    pub fn looked(&self) -> Looked {
        self.caller.looked()
    }

    async fn ask<A: DeserializeOwned>(
        &self,
        operation: &'static str,
        trace: TraceParent,
        (items, unanswered, again): (u32, fn(&Reply) -> u32, bool),
        question: &(impl Serialize + Sync),
    ) -> Result<A, Answer<Never>> {
        // Contract types are plain structs of texts and numbers: they always have a JSON form.
        let body = Bytes::from(serde_json::to_vec(question).unwrap_or_default());
        let call = Call::new(Method::POST, operation, format!("/v1/{operation}"), trace);
        let mut call = Call { items, unanswered, again, ..call }.body("application/json", body);
        if let Some(shared) = &self.shared {
            call.headers.push((DATABASE_HEADER, shared.identity().await.map_err(Answer::Unavailable)?));
        }
        match self.caller.call(call).await {
            Ok(Reply { status: 200, body }) => {
                serde_json::from_value(body).map_err(|error| unclear(self.module, &error.to_string()))
            }
            Ok(reply) => Err(self.refused(&reply).await),
            Err(error) => Err(self.lost(&error)),
        }
    }

    fn lost(&self, error: &CallError) -> Answer<Never> {
        Answer::Unavailable(format!("{}: {error}", self.module))
    }

    /// What the callee says of the request as a whole.
    async fn refused(&self, reply: &Reply) -> Answer<Never> {
        let (module, problem) = (self.module, &reply.body);
        let (kind, detail) = (word(&problem["type"]), word(&problem["detail"]));
        if reply.status == 421 {
            if let Some(shared) = &self.shared {
                // It may be ours that is another one by now.
                *shared.known.write().await = None;
            }
            tracing::error!(module, detail, correlation = "", "a route to another database is refused");
            return Answer::Unavailable(format!("{module}: {detail}"));
        }
        tracing::error!(
            module,
            status = reply.status,
            kind,
            detail,
            correlation = "",
            "a question was not understood"
        );
        match kind {
            "/problems/not_understood" | "/problems/too_many_items" | "/problems/no_such_operation" => {
                Answer::Broken(format!("{module} does not understand the question: {detail}"))
            }
            // Whoever answers there is no module of ours; somebody may put that right.
            _ => Answer::Unavailable(format!("{module}: answered {}", reply.status)),
        }
    }
}

impl Shared {
    async fn identity(&self) -> Result<String, String> {
        if let Some(known) = &*self.known.read().await {
            return Ok(known.clone());
        }
        let now = self.database.identity().await?;
        *self.known.write().await = Some(now.clone());
        Ok(now)
    }
}

/// Nothing was done.
#[derive(Clone, Copy)]
enum Never {}

fn unclear(module: &str, why: &str) -> Answer<Never> {
    tracing::error!(module, why, correlation = "", "an answer is not understood; it is asked for again");
    Answer::Unavailable(format!("{module}: an answer that is not understood"))
}

fn word(value: &Json) -> &str {
    value.as_str().unwrap_or_default()
}

/// As the contract writes it.
fn is_unavailable(answer: &Json) -> bool {
    answer.get("unavailable").is_some()
}

fn unanswered(reply: &Reply) -> u32 {
    let answers = reply.body.as_array().map(Vec::as_slice).unwrap_or_default();
    u32::try_from(answers.iter().filter(|answer| is_unavailable(answer)).count()).unwrap_or(u32::MAX)
}
