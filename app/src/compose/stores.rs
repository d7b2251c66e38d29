//! Each module's way to its own schema.

use std::{collections::BTreeMap, sync::Arc};

use banyan_kernel::Clock;
use banyan_store::{Store, StoreError, role_options, sqlx::postgres::PgConnectOptions};

use super::all_schemas;
use crate::{
    config::Elsewhere,
    staff_log::{self, StaffLog},
};

/// Connections to the schema of a module that is elsewhere: to know which database it is, and no more.
const SHARED_CONNECTIONS: u32 = 2;

/// Each module's store under its own role.
pub struct Stores {
    own: BTreeMap<&'static str, Store>,
    /// Of modules that are elsewhere, on the same database.
    shared: BTreeMap<&'static str, Store>,
}

impl Stores {
    /// Pools of at most `connections` each, on the administrator's database. Nothing is connected yet.
    #[must_use]
    pub fn new(
        administrator: &PgConnectOptions,
        password: &str,
        connections: u32,
        clock: &Arc<dyn Clock>,
        elsewhere: &Elsewhere,
    ) -> Self {
        let store = |name: &'static str, connections: u32| {
            let options = role_options(administrator, password, name);
            (name, Store::new(options, name, connections, clock.clone()))
        };
        Self {
            own: all_schemas(elsewhere).iter().map(|schema| store(schema.name, connections)).collect(),
            shared: elsewhere.keys().map(|name| store(name, SHARED_CONNECTIONS)).collect(),
        }
    }

    /// Of a module that is here.
    #[must_use]
    pub fn of(&self, module: &str) -> Store {
        self.own[module].clone()
    }

    /// Modules that are elsewhere have databases of their own.
    #[must_use]
    pub fn apart(self) -> Self {
        Self { shared: BTreeMap::new(), ..self }
    }

    /// Of a module that is elsewhere, where it shares this shop's database.
    #[must_use]
    pub fn shared(&self, module: &str) -> Option<Store> {
        self.shared.get(module).cloned()
    }

    /// Whether a module's tables are in this shop's database, wherever the module is.
    #[must_use]
    pub fn hold(&self, module: &str) -> bool {
        self.own.contains_key(module) || self.shared.contains_key(module)
    }

    /// All that modules of this process work in.
    #[must_use]
    pub fn all(&self) -> Vec<Store> {
        self.own.values().cloned().collect()
    }

    /// Begins a new incarnation of every schema: what the database told is not continued but told anew, since it was
    /// restored.
    ///
    /// # Errors
    /// As any statement.
    pub async fn raise_epochs(&self) -> Result<(), StoreError> {
        for store in self.own.values().chain(self.shared.values()) {
            let epoch = store.fence().raise().await?;
            tracing::warn!(schema = store.schema(), epoch, "a restored database: its epoch is raised");
        }
        Ok(())
    }

    /// The edge's own, whose role may read the server's statistics.
    #[must_use]
    pub fn edge(&self) -> Store {
        self.of(staff_log::schema().name)
    }

    /// The record of what staff did.
    #[must_use]
    pub fn staff_log(&self) -> StaffLog {
        StaffLog::new(self.edge())
    }

    /// How many connections all pools take together at most.
    #[must_use]
    pub fn connections(&self, each: u32) -> u32 {
        let count = |stores: &BTreeMap<_, _>| u32::try_from(stores.len()).unwrap_or(u32::MAX);
        each * count(&self.own) + SHARED_CONNECTIONS * count(&self.shared)
    }
}
