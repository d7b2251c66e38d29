//! What a main wires its module with.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use banyan_bus::Source;
use banyan_kernel::{Clock, SystemClock};
use banyan_net::{
    call::{Callee, Location, Looked},
    port::PortClient,
};
use banyan_store::{Store, role_options, sqlx::postgres::PgConnectOptions};

use tokio::sync::watch;

use super::settings::{Settings, Variable, or};
use crate::Ways;

/// What a service was told at start, as far as its module is wired with it.
pub struct Given {
    name: &'static str,
    administrator: PgConnectOptions,
    password: String,
    connections: u32,
    clock: Arc<dyn Clock>,
    variable: Variable,
    ways: Option<Ways>,
}

impl Given {
    pub(super) fn new(name: &'static str, settings: &Settings) -> Result<Self, String> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let key = settings.service_key.as_ref();
        let ways = key.map(|key| Ways::open(name, key, clock.clone())).transpose();
        let ways = ways.map_err(|error| format!("BANYAN_SERVICE_KEY: {error}"))?;
        Ok(Self {
            ways,
            name,
            administrator: settings.database.clone(),
            password: settings.password.clone(),
            connections: settings.pool,
            clock,
            variable: settings.variable.clone(),
        })
    }

    /// The module's store, under its own role.
    #[must_use]
    pub fn store(&self) -> Store {
        let options = role_options(&self.administrator, &self.password, self.name);
        Store::new(options, self.name, self.connections, self.clock.clone())
    }

    /// What it tells the time by.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    /// A time of the module's own, in seconds.
    ///
    /// # Errors
    /// When it is none.
    pub fn seconds(&self, name: &str, default: u64) -> Result<Duration, String> {
        or(&self.variable, name, default).map(Duration::from_secs)
    }

    /// Two settings of the module's own that go together, or are both left out.
    ///
    /// # Errors
    /// When one of them alone is there.
    pub fn both(&self, one: &str, other: &str) -> Result<Option<(String, String)>, String> {
        match ((self.variable)(one), (self.variable)(other)) {
            (Some(first), Some(second)) => Ok(Some((first, second))),
            (None, None) => Ok(None),
            (None, Some(_)) => Err(format!("set {one}")),
            (Some(_), None) => Err(format!("set {other}")),
        }
    }

    /// Somebody outside, named by `BANYAN_{whom}_URL`, who knows us by `BANYAN_{whom}_SECRET`.
    ///
    /// # Errors
    /// When one of the two is missing.
    pub fn callee(&self, whom: &str) -> Result<Callee, String> {
        let named = |what: &str| self.needed(&format!("BANYAN_{whom}_{what}"));
        Ok(Callee::new(named("URL")?.trim_end_matches('/'), named("SECRET")?))
    }

    /// The way to a module that this one asks, at the addresses in its variable (`BANYAN_INVENTORY`).
    ///
    /// # Errors
    /// When it is not named, or no location.
    pub fn way(&self, module: &'static str) -> Result<PortClient, String> {
        self.ways()?.to(module, &self.location(module)?)
    }

    /// A module whose events this one hears.
    ///
    /// # Errors
    /// As [`Self::way`].
    pub fn heard(&self, module: &'static str) -> Result<Arc<dyn Source>, String> {
        self.ways()?.heard(module, &self.location(module)?)
    }

    /// Changes when one of those that this module asks answers again after a while without.
    ///
    /// # Errors
    /// As [`Self::way`].
    pub fn answers_again(&self) -> Result<watch::Receiver<u64>, String> {
        Ok(self.ways()?.answers_again())
    }

    /// Whose contracts the module calls, as it was wired.
    pub(super) fn callees(&self) -> BTreeMap<&'static str, Looked> {
        self.ways.as_ref().map(Ways::callees).unwrap_or_default()
    }

    fn location(&self, module: &str) -> Result<Location, String> {
        let variable = Ways::variable(module);
        self.needed(&variable)?.parse().map_err(|why| format!("{variable}: {why}"))
    }

    fn ways(&self) -> Result<&Ways, String> {
        self.ways.as_ref().ok_or_else(|| "set BANYAN_SERVICE_KEY".to_owned())
    }

    fn needed(&self, name: &str) -> Result<String, String> {
        (self.variable)(name).ok_or_else(|| format!("set {name}"))
    }
}
