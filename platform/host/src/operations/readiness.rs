//! Whether a process can work, and whom it lacks.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use banyan_bus::Topics;
use banyan_store::Store;
use futures::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use utoipa::ToSchema;

/// A dependency that takes longer does not answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(2);
/// However many ask, the database is asked no more often.
const AS_OLD_AS: Duration = Duration::from_millis(500);

/// Whether a process is being stopped: then no new requests should come.
#[derive(Clone, Default)]
pub struct Draining(Arc<AtomicBool>);

impl Draining {
    /// From now on.
    pub fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Whether a process can work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ready {
    /// Whether it can be sent requests.
    pub ready: bool,
    /// Whether it is being stopped.
    pub draining: bool,
    /// Each of those that it depends on.
    pub dependencies: BTreeMap<String, Dependency>,
}

/// Somebody whom a process depends on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Dependency {
    /// Whether it answers.
    pub ready: bool,
    /// Whether the process is not ready without it.
    pub needed: bool,
    /// Why it is not ready.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Which one it is, of a database.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
}

impl Dependency {
    fn found(needed: bool, answered: Result<Option<String>, String>) -> Self {
        match answered {
            Ok(identity) => Self { ready: true, needed, why: None, identity },
            Err(why) => Self { ready: false, needed, why: Some(why), identity: None },
        }
    }
}

/// What knows it.
pub struct Readiness {
    /// On one database, each under its own role.
    stores: Vec<Store>,
    topics: Option<Arc<dyn Topics>>,
    draining: Draining,
    last: Mutex<Option<(Instant, Dependency)>>,
}

impl Readiness {
    /// Of a process that works in these stores, the first of which says which database it is, and hears by these topics.
    #[must_use]
    pub fn new(stores: Vec<Store>, topics: Option<Arc<dyn Topics>>, draining: Draining) -> Self {
        Self { stores, topics, draining, last: Mutex::default() }
    }

    /// What the process itself needs, and no more: this is for who chooses among instances, and may be asked often.
    pub async fn itself(&self) -> Ready {
        self.with([("database".to_owned(), self.database().await)].into())
    }

    /// All of it. Its broker is told and makes nobody unready: what is asked is answered without one.
    pub async fn all(&self) -> Ready {
        let (database, broker) = tokio::join!(self.database(), self.broker());
        let broker = broker.map(|broker| ("broker".to_owned(), broker));
        self.with([("database".to_owned(), database)].into_iter().chain(broker).collect())
    }

    fn with(&self, dependencies: BTreeMap<String, Dependency>) -> Ready {
        let draining = self.draining.0.load(Ordering::Relaxed);
        let lacks = dependencies.values().any(|dependency| dependency.needed && !dependency.ready);
        Ready { ready: !draining && !lacks, draining, dependencies }
    }

    /// One look for all who ask at once.
    async fn database(&self) -> Dependency {
        let mut last = self.last.lock().await;
        match &*last {
            Some((at, found)) if at.elapsed() < AS_OLD_AS => found.clone(),
            _ => {
                let found = Dependency::found(true, self.identity().await);
                *last = Some((Instant::now(), found.clone()));
                found
            }
        }
    }

    async fn identity(&self) -> Result<Option<String>, String> {
        let asked = join_all(self.stores.iter().map(|store| banyan_store::identity(store.pool())));
        let answered = timeout(ANSWERS_WITHIN, asked).await.map_err(|_| "no answer".to_owned())?;
        let all = answered.into_iter().collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        Ok(all.into_iter().next())
    }

    async fn broker(&self) -> Option<Dependency> {
        let asked = timeout(ANSWERS_WITHIN, self.topics.as_ref()?.answers()).await;
        let answered = asked.unwrap_or_else(|_| Err("no answer".to_owned()));
        Some(Dependency::found(false, answered.map(|()| None)))
    }
}
