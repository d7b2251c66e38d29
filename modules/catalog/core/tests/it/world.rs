//! A module on a database of its own.

use std::sync::Arc;

use banyan_kernel::ManualClock;
use banyan_postgres::testing::{TestDatabase, database};
use banyan_store::{Store, prepare, role_of};
use catalog_core::{Catalog, schema};

/// Everything a test needs.
pub struct World {
    pub database: TestDatabase,
    pub store: Store,
    pub catalog: Arc<Catalog>,
}

impl World {
    /// An empty one.
    pub async fn new() -> Self {
        let database = database().await;
        prepare(&database.superuser(), "", &[schema()]).await.expect("a schema");
        let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
        let store = Store::new(database.options(&role_of("catalog")), "catalog", 8, clock);
        Self { database, catalog: Catalog::new(store.clone()), store }
    }

    /// What was told, as `kind subject sequence`, in the order of the outbox. Read without its horizon, which
    /// other tests of this cluster hold back.
    pub async fn told(&self) -> Vec<String> {
        let told = "select concat_ws(' ', type, aggregateid, sequence) from outbox order by epoch, xid, seq";
        sqlx::query_scalar(told).fetch_all(self.store.pool()).await.expect("the outbox")
    }
}
