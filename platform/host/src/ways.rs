//! The ways to modules that are elsewhere.

use std::{path::Path, sync::Arc};

use banyan_bus::Source;
use banyan_kernel::Clock;
use banyan_net::{
    TokenError,
    call::Location,
    port::{PortClient, ServiceKey},
};
use tokio::sync::watch;

use crate::{
    operations::Elsewhere,
    told::{self, Heard},
};

/// How a process reaches modules: as whom.
pub struct Ways {
    key: Arc<ServiceKey>,
    answers_again: Arc<watch::Sender<u64>>,
}

impl Ways {
    /// As `name`, which signs with the key in that file; it is made at first.
    ///
    /// # Errors
    /// When the file cannot be read or made, or holds something else.
    pub fn open(name: &str, key: &Path, clock: Arc<dyn Clock>) -> Result<Self, TokenError> {
        Ok(Self { key: Arc::new(ServiceKey::open(name, key, clock)?), answers_again: Arc::default() })
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
        let way = PortClient::to(module, at, &self.key, self.answers_again.clone());
        way.map_err(|error| format!("no HTTP client can be made: {error}"))
    }

    /// A module as one who tells.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn heard(&self, module: &'static str, at: &Location) -> Result<Arc<dyn Source>, String> {
        Ok(Arc::new(Heard::new(module, self.to(module, &at.under(told::PATH))?)))
    }

    /// A module's processes, for who looks after them.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn operations(&self, module: &'static str, at: &Location) -> Result<Elsewhere, String> {
        Elsewhere::new(module, at, &self.key)
    }

    /// Changes when one of them answers again after a while without: who waits for it may ask at once.
    #[must_use]
    pub fn answers_again(&self) -> watch::Receiver<u64> {
        self.answers_again.subscribe()
    }
}
