//! The ways to modules that are elsewhere.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use banyan_bus::Source;
use banyan_kernel::Clock;
use banyan_net::{
    call::{Location, Looked, Probes},
    port::{PortClient, ServiceKey},
};
use tokio::sync::watch;

use crate::{
    operations::Elsewhere,
    told::{self, Heard},
};

fn no_client(error: &dyn std::fmt::Display) -> String {
    format!("no HTTP client can be made: {error}")
}

/// How a process reaches modules: as whom.
pub struct Ways {
    key: Arc<ServiceKey>,
    probes: Probes,
    /// To whose contracts.
    callees: Mutex<BTreeMap<&'static str, Looked>>,
    answers_again: Arc<watch::Sender<u64>>,
}

impl Ways {
    /// As `name`, which signs with the key in that file; it is made at first.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds something else.
    pub fn open(name: &str, key: &Path, clock: Arc<dyn Clock>) -> Result<Self, String> {
        let key = ServiceKey::open(name, key, clock).map_err(|error| error.to_string())?;
        let probes = Probes::by_http().map_err(|error| no_client(&error))?;
        Ok(Self { key: Arc::new(key), probes, callees: Mutex::default(), answers_again: Arc::default() })
    }

    /// The variable that says where a module is.
    #[must_use]
    pub fn variable(module: &str) -> String {
        format!("BANYAN_{}", module.to_uppercase())
    }

    /// To a module's contract.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn to(&self, module: &'static str, at: &Location) -> Result<PortClient, String> {
        let way = self.way(module, at)?;
        self.callees.lock().unwrap_or_else(PoisonError::into_inner).insert(module, way.looked());
        Ok(way)
    }

    /// Whose contracts are called, each with its instances.
    #[must_use]
    pub fn callees(&self) -> BTreeMap<&'static str, Looked> {
        self.callees.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn way(&self, module: &'static str, at: &Location) -> Result<PortClient, String> {
        let way = PortClient::to(module, at, &self.key, &self.probes, self.answers_again.clone());
        way.map_err(|error| no_client(&error))
    }

    /// A module as one who tells.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn heard(&self, module: &'static str, at: &Location) -> Result<Arc<dyn Source>, String> {
        Ok(Arc::new(Heard::new(module, self.way(module, &at.under(told::PATH))?)))
    }

    /// A module's processes, for who looks after them.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn operations(&self, module: &'static str, at: &Location) -> Result<Elsewhere, String> {
        Elsewhere::new(module, at, &self.key, &self.probes)
    }

    /// Changes when one of them answers again after a while without: who waits for it may ask at once.
    #[must_use]
    pub fn answers_again(&self) -> watch::Receiver<u64> {
        self.answers_again.subscribe()
    }
}
