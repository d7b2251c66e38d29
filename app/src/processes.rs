//! Whom an operator's question goes to: this process, with the modules that are in it, or the processes of a module that is elsewhere.

use std::{collections::BTreeMap, sync::Arc};

use banyan_host::operations::{About, Elsewhere, Here, Operations};
use serde::{Deserialize, Serialize};

/// What the shop's own process is called.
pub const SHOP: &str = "shop";

/// How a process is, or why it does not say.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The module that it is the process of; the shop's own has several.
    pub module: String,
    /// Where it is.
    pub address: String,
    /// What it says; none, where it does not answer.
    pub about: Option<About>,
    /// Why it does not.
    pub why: Option<String>,
}

/// Of all processes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Statuses {
    /// The shop's own first.
    pub processes: Vec<Status>,
}

impl Status {
    /// One that does not answer.
    #[must_use]
    pub fn away(module: &str, address: String, why: String) -> Self {
        Self { module: module.to_owned(), address, about: None, why: Some(why) }
    }
}

/// All of them.
#[derive(Clone)]
pub struct Processes {
    here: Arc<Here>,
    address: String,
    elsewhere: BTreeMap<&'static str, Arc<Elsewhere>>,
    /// Of modules that are here as well, on the same database.
    beside: BTreeMap<&'static str, Arc<Elsewhere>>,
}

/// One of them.
pub struct Process {
    /// The module that it is the process of; the shop's own has several.
    pub module: &'static str,
    /// Where it is.
    pub address: String,
    /// What it can be asked.
    pub asked: Arc<dyn Operations>,
}

impl Processes {
    /// This one, at its address, those of modules that are elsewhere, and those of modules that are here as well.
    #[must_use]
    pub fn new(
        here: Arc<Here>,
        address: String,
        elsewhere: BTreeMap<&'static str, Arc<Elsewhere>>,
        beside: BTreeMap<&'static str, Arc<Elsewhere>>,
    ) -> Self {
        Self { here, address, elsewhere, beside }
    }

    /// Who answers for a group, a read model or a source: the module before the dot. What nobody knows is asked here, and refused.
    #[must_use]
    pub fn of(&self, name: &str) -> Arc<dyn Operations> {
        let module = name.split('.').next().unwrap_or_default();
        self.elsewhere.get(module).map_or_else(|| self.here.clone() as _, |elsewhere| elsewhere.any())
    }

    /// One for each database: this process, and any of each module that is elsewhere.
    #[must_use]
    pub fn databases(&self) -> Vec<(&'static str, Arc<dyn Operations>)> {
        let others = self.elsewhere.iter().map(|(module, elsewhere)| (*module, elsewhere.any()));
        [(SHOP, self.here.clone() as _)].into_iter().chain(others).collect()
    }

    /// Each process.
    #[must_use]
    pub fn each(&self) -> Vec<Process> {
        let own = Process { module: SHOP, address: self.address.clone(), asked: self.here.clone() };
        let others = self.elsewhere.iter().chain(&self.beside).flat_map(|(module, elsewhere)| {
            let each = elsewhere.each().into_iter();
            each.map(|(address, asked)| Process { module, address, asked })
        });
        [own].into_iter().chain(others).collect()
    }
}
