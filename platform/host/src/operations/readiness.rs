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
use banyan_net::call::{Looked, Says};
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

impl Ready {
    /// For everybody: by which addresses and in which words something is missing is for who looks after it.
    #[must_use]
    pub fn plain(self) -> Self {
        let plain = |(name, it)| (name, Dependency { why: None, identity: None, ..it });
        Self { dependencies: self.dependencies.into_iter().map(plain).collect(), ..self }
    }
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
    /// Modules that are elsewhere.
    callees: BTreeMap<&'static str, Looked>,
    /// Whether there is something that it does without them.
    is_of_use_alone: bool,
    draining: Draining,
    last: Mutex<Option<(Instant, Dependency)>>,
}

impl Readiness {
    /// Of a process that works in these stores, the first of which says which database it is, and hears by these topics.
    #[must_use]
    pub fn new(stores: Vec<Store>, topics: Option<Arc<dyn Topics>>, draining: Draining) -> Self {
        let (callees, last) = (BTreeMap::new(), Mutex::default());
        Self { stores, topics, callees, is_of_use_alone: true, draining, last }
    }

    /// It calls these modules.
    #[must_use]
    pub fn calling(self, callees: BTreeMap<&'static str, Looked>) -> Self {
        Self { callees, ..self }
    }

    /// It does nothing at all but call them.
    #[must_use]
    pub fn of_no_use_alone(self) -> Self {
        Self { is_of_use_alone: false, ..self }
    }

    /// What the process itself needs, and no more: this is for who chooses among instances, and may be asked often.
    pub async fn itself(&self) -> Ready {
        self.with([("database".to_owned(), self.database().await)].into())
    }

    /// All of it, one hop far: what a callee says of itself is about that one alone. Neither the broker nor a callee makes the process
    /// unready, since what it is asked it answers without them, if only by "later"; unless it can do nothing without the callees, and
    /// none of them can work.
    pub async fn all(&self) -> Ready {
        let (database, broker) = tokio::join!(self.database(), self.broker());
        let broker = broker.map(|broker| ("broker".to_owned(), broker));
        let callees: Vec<_> =
            self.callees.iter().map(|(name, it)| ((*name).to_owned(), callee(it))).collect();
        let is_of_use = self.is_of_use_alone || callees.iter().any(|(_, callee)| callee.ready);
        let all = [("database".to_owned(), database)].into_iter().chain(broker).chain(callees);
        let ready = self.with(all.collect());
        Ready { ready: ready.ready && is_of_use, ..ready }
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

/// Ready, where one of its instances is.
fn callee(looked: &Looked) -> Dependency {
    let instances = looked.now().unwrap_or_default();
    if instances.iter().any(|instance| instance.says == Some(Says::Ready)) {
        return Dependency::found(false, Ok(None));
    }
    let why = |says| match says {
        Some(Says::Nothing(why)) => why,
        Some(_) => "it says that it is not ready".to_owned(),
        None => "it has not answered yet".to_owned(),
    };
    let mut whys: Vec<String> = instances.into_iter().map(|instance| why(instance.says)).collect();
    whys.sort();
    whys.dedup();
    let why = if whys.is_empty() { "nobody is registered".to_owned() } else { whys.join("; ") };
    Dependency::found(false, Err(why))
}

#[cfg(test)]
mod tests {
    use banyan_kernel::SystemClock;
    use banyan_net::call::{Callee, Caller, Probes, Registry};
    use banyan_store::sqlx::postgres::PgConnectOptions;
    use tokio::net::TcpListener;

    use super::*;
    use crate::ports;

    /// A process that works in no database: it is ready until it drains.
    fn alone(draining: &Draining) -> Readiness {
        Readiness::new(Vec::new(), None, draining.clone())
    }

    /// Served as a service does.
    async fn served(readiness: Readiness) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let router = ports::health(Arc::new(readiness));
        tokio::spawn(banyan_net::serve(listener, router, Default::default(), Default::default()));
        address
    }

    async fn until_says(caller: &Readiness, leaf: bool) -> Ready {
        loop {
            let said = caller.all().await;
            if said.dependencies["leaf"].ready == leaf {
                return said;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_sick_callee_is_named_and_takes_nobody_down_who_is_of_use_without_it() {
        let drains = Draining::default();
        let address = served(alone(&drains)).await;
        let callee = Callee { probes: Some(Probes::by_http().expect("a client")), ..Callee::new("", "s") };
        let way = Caller::registered("leaf", callee, Registry::fixed([address]), Arc::default());
        let way = way.expect("a client");
        let callees = || BTreeMap::from([("leaf", way.looked())]);
        let of_use = alone(&Draining::default()).calling(callees());
        let of_none = alone(&Draining::default()).calling(callees()).of_no_use_alone();
        assert!(until_says(&of_use, true).await.ready && until_says(&of_none, true).await.ready);
        drains.begin();
        let said = until_says(&of_use, false).await;
        assert_eq!(said.dependencies["leaf"].why.as_deref(), Some("it says that it is not ready"));
        assert!(said.ready && !until_says(&of_none, false).await.ready);
        // Whoever calls this one is told of it alone.
        assert_eq!(of_none.itself().await.dependencies.keys().collect::<Vec<_>>(), ["database"]);
        assert!(of_none.itself().await.ready);
    }

    #[tokio::test]
    async fn without_its_database_it_is_not_ready_and_to_strangers_it_does_not_say_why() {
        let nowhere = PgConnectOptions::new().host("127.0.0.1").port(1).database("none");
        let store = Store::new(nowhere, "inventory", 1, Arc::new(SystemClock));
        let lacking = Readiness::new(vec![store], None, Draining::default()).all().await;
        assert!(!lacking.ready && lacking.dependencies["database"].why.is_some(), "{lacking:?}");
        assert_eq!(lacking.plain().dependencies["database"].why, None);
    }
}
