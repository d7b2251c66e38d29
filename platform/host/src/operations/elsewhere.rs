//! A module's processes, where it is elsewhere: any one of them, and each.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use banyan_net::{
    call::{Location, Probes, Registry},
    port::{PortClient, ServiceKey},
};

use super::{Operations, PATH, ask::Asked};

/// Who can be asked for a module that is elsewhere.
pub struct Elsewhere {
    module: &'static str,
    key: Arc<ServiceKey>,
    probes: Probes,
    registry: Registry,
    any: Arc<dyn Operations>,
    /// The way to each, by address: kept, since a way remembers who does not answer.
    each: Mutex<BTreeMap<String, Arc<dyn Operations>>>,
}

impl Elsewhere {
    pub(crate) fn new(
        module: &'static str,
        at: &Location,
        key: &Arc<ServiceKey>,
        probes: &Probes,
    ) -> Result<Self, String> {
        let registry = || Registry::of(&at.under(PATH));
        let any = PortClient::patient(module, registry(), key, probes);
        let any = Arc::new(Asked(any.map_err(|error| format!("no HTTP client can be made: {error}"))?));
        Ok(Self {
            module,
            key: key.clone(),
            probes: probes.clone(),
            registry: registry(),
            any,
            each: Mutex::default(),
        })
    }

    /// Whichever of its processes answers: for what is about its database.
    #[must_use]
    pub fn any(&self) -> Arc<dyn Operations> {
        self.any.clone()
    }

    /// Each of its processes that is known now, by its address: for what is about a process.
    #[must_use]
    pub fn each(&self) -> Vec<(String, Arc<dyn Operations>)> {
        let addresses = self.registry.now();
        let mut each = self.each.lock().unwrap_or_else(PoisonError::into_inner);
        each.retain(|address, _| addresses.contains(address));
        let mut all = Vec::new();
        for address in addresses.iter() {
            if !each.contains_key(address) {
                let registry = Registry::fixed([address.clone()]);
                match PortClient::patient(self.module, registry, &self.key, &self.probes) {
                    Ok(way) => each.insert(address.clone(), Arc::new(Asked(way))),
                    Err(error) => {
                        tracing::error!(%error, address, correlation = "", "no HTTP client can be made");
                        continue;
                    }
                };
            }
            let shown = address.trim_end_matches(PATH).to_owned();
            all.extend(each.get(address).map(|way| (shown, way.clone())));
        }
        all
    }
}
