//! The routes of modules that are on both sides: in this process, and in one of their own on the same database. A flag says where an
//! item goes; a person turns it, or a walk does, step by step, which a guard turns back.

mod guard;
mod log;
mod target;
mod walk;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use banyan_flags::{Flags, State, TurnError};
use banyan_host::operations::Elsewhere;
use banyan_kernel::{Actor, Clock};
use banyan_net::{
    port::{CheckError, PortClient},
    route::{Choice, Gauge, Switch},
};
use banyan_store::StoreError;
use tokio_util::sync::CancellationToken;

pub use guard::{ITEMS_MIN, Verdict, judge};
pub use log::{Change, RouteLog};
pub use target::{Target, TargetError, words};
pub use walk::{Plan, Walk, WalkEnd, WalkState};

/// The flag of a module's route.
#[must_use]
pub fn flag(module: &str) -> String {
    format!("{module}-route")
}

/// Asks the flags for each item.
pub struct ByFlag(pub Arc<dyn Flags>);

impl Switch for ByFlag {
    fn choose(&self, module: &'static str, key: Option<&str>) -> Choice {
        // What nobody knows is asked where it always was.
        self.0.variant(&flag(module), key).map_or(Choice::Local, |variant| target::choice(&variant))
    }
}

/// A module on both sides.
pub struct Both {
    /// What is counted of it.
    pub gauge: Arc<Gauge>,
    /// The way to its own process, to see that it is there and on the same database.
    pub way: PortClient,
    /// For who looks after it.
    pub process: Arc<Elsewhere>,
}

/// All routes of this process.
#[derive(Clone)]
pub struct Routes(Arc<Inner>);

struct Inner {
    flags: Arc<dyn Flags>,
    routes: BTreeMap<&'static str, Arc<Both>>,
    log: RouteLog,
    clock: Arc<dyn Clock>,
    walks: Mutex<BTreeMap<&'static str, Walk>>,
    stop: CancellationToken,
}

/// Why a route was not turned. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The module is on one side alone.
    #[error("{0} is not on both sides: its own process must run, and the shop (built with Kafka) be told of it by BANYAN_{upper} and BANYAN_ROUTED={0}", upper = .0.to_uppercase())]
    NotRouted(String),
    /// Somebody else turned it since the asker looked.
    #[error("the route of {module} was turned meanwhile by {by}, at {at}: {why}; look again")]
    Meanwhile {
        /// Of which module.
        module: &'static str,
        /// Who.
        by: String,
        /// When.
        at: String,
        /// Why.
        why: String,
    },
    /// A walk turns it.
    #[error("{by} walks the route of {module} since {since}: {why}; stop that walk first")]
    Walked {
        /// Of which module.
        module: &'static str,
        /// Whose walk.
        by: String,
        /// Since when.
        since: String,
        /// Why.
        why: String,
    },
    /// There is no walk to be stopped.
    #[error("nobody walks the route of {0}")]
    NoWalk(&'static str),
    /// The other side writes another database.
    #[error("the route of {0} stays as it was: its own process is on another database than this shop: {1}")]
    OtherDatabase(&'static str, String),
    /// Nobody answers there.
    #[error("the route of {0} stays as it was: its own process does not answer: {1}")]
    Away(&'static str, String),
    /// The flag.
    #[error(transparent)]
    Flag(#[from] TurnError),
    /// The record of changes.
    #[error("who turns a route is recorded first, and that is not possible just now")]
    Log(#[from] StoreError),
}

/// Who turns a route, why, and what they saw of it before.
#[derive(Clone, Debug)]
pub struct By {
    /// Who.
    pub who: Actor,
    /// Why.
    pub why: String,
    /// The number of the last change that they know of; 0 of none.
    pub revision: i64,
}

impl Routes {
    /// Between these sides. Walks end with `stop`, and leave routes where they are.
    #[must_use]
    pub fn new(
        flags: Arc<dyn Flags>,
        routes: BTreeMap<&'static str, Arc<Both>>,
        (log, clock): (RouteLog, Arc<dyn Clock>),
        stop: CancellationToken,
    ) -> Self {
        Self(Arc::new(Inner { flags, routes, log, clock, walks: Mutex::default(), stop }))
    }

    /// Every module on both sides, with what is counted of it.
    pub fn all(&self) -> impl Iterator<Item = (&'static str, &Gauge)> {
        self.0.routes.iter().map(|(module, both)| (*module, &*both.gauge))
    }

    fn walks(&self) -> MutexGuard<'_, BTreeMap<&'static str, Walk>> {
        self.0.walks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The walk of a route, under way or ended.
    #[must_use]
    pub fn walk(&self, module: &str) -> Option<WalkState> {
        self.walks().get(module).map(Walk::state)
    }

    /// The last changes of a route, the newest first.
    ///
    /// # Errors
    /// As any statement.
    pub async fn changes(&self, module: &str, limit: u16) -> Result<Vec<Change>, StoreError> {
        self.0.log.last(module, limit).await
    }

    /// A module on both sides, by its name.
    ///
    /// # Errors
    /// When it is not.
    pub fn find(&self, module: &str) -> Result<(&'static str, &Both), RouteError> {
        let found = self.0.routes.get_key_value(module).map(|(module, both)| (*module, &**both));
        found.ok_or_else(|| RouteError::NotRouted(module.to_owned()))
    }

    /// Where a route's items go now.
    #[must_use]
    pub fn target(&self, module: &str) -> BTreeMap<String, u16> {
        let states = self.0.flags.states();
        let state = states.into_iter().find(|state| state.name == flag(module)).filter(|state| state.enabled);
        state.map_or_else(|| Target::Local.weights(), |State { weights, .. }| weights)
    }

    /// Turns a route.
    ///
    /// # Errors
    /// When it cannot be turned, or somebody else has done so meanwhile; it is as it was.
    pub async fn turn(&self, module: &str, to: Target, by: &By) -> Result<(), RouteError> {
        let (module, _) = self.find(module)?;
        if let Some(walk) = self.walks().get(module).filter(|walk| walk.is_under_way()) {
            return Err(walk.in_the_way(module));
        }
        self.turned(module, to, by).await.map(drop)
    }

    /// The revision that it is now.
    async fn turned(&self, module: &'static str, to: Target, by: &By) -> Result<i64, RouteError> {
        let (_, both) = self.find(module)?;
        if to != Target::Local {
            both.way.check_database().await.map_err(|error| match error {
                CheckError::Other(why) => RouteError::OtherDatabase(module, why),
                CheckError::NotNow(why) => RouteError::Away(module, why),
            })?;
        }
        let (was, becomes) = (self.target(module), to.weights());
        let weights = becomes.iter().map(|(variant, weight)| (variant.as_str(), *weight)).collect();
        self.0.flags.may_turn(&flag(module), &weights)?;
        let change = Change {
            revision: by.revision + 1,
            at: self.0.clock.now(),
            actor: by.who.to_string(),
            was: was.into(),
            becomes: becomes.clone().into(),
            why: by.why.clone(),
        };
        if !self.0.log.write(module, &change).await? {
            return Err(self.meanwhile(module).await);
        }
        self.0.flags.turn(&flag(module), &weights)?;
        tracing::warn!(module, by = change.actor, %to, why = change.why, correlation = "", "a route was turned");
        Ok(change.revision)
    }

    async fn meanwhile(&self, module: &'static str) -> RouteError {
        match self.changes(module, 1).await {
            Err(error) => error.into(),
            Ok(last) => {
                let last = last.into_iter().next();
                let (by, at, why) =
                    last.map_or_else(Default::default, |it| (it.actor, log::text(it.at), it.why));
                RouteError::Meanwhile { module, by, at, why }
            }
        }
    }
}
