//! The suite's harness of the local bus.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use banyan_bus::{
    Bus, LocalBus, OutboxSource, Source,
    testing::{Harness, Lossy, OPTIONS, OWNERSHIP, SINK, TELLER, schemas},
};
use banyan_kernel::{SystemClock, stable_hash};
use banyan_postgres::testing::{TestDatabase, database};
use banyan_store::{Store, prepare, role_of};
use uuid::Uuid;

static PREPARING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A database of its own.
pub struct Local {
    teller: Store,
    sink: Store,
    source: OutboxSource,
    carried: Arc<Lossy>,
    next: AtomicU64,
    _database: TestDatabase,
}

impl Local {
    pub async fn new() -> Self {
        let database = database().await;
        // Roles are the cluster's, and the turn that `prepare` takes is the database's.
        let turn = PREPARING.lock().await;
        prepare(&database.superuser(), "", &schemas()).await.expect("the schemas can be made");
        drop(turn);
        let store = |name| Store::new(database.options(&role_of(name)), name, 12, Arc::new(SystemClock));
        let (teller, sink) = (store(TELLER), store(SINK));
        let source = OutboxSource::new(teller.clone());
        let carried = Lossy::new(source.clone());
        Self {
            teller,
            sink,
            source,
            carried: Arc::new(carried),
            next: AtomicU64::new(1),
            _database: database,
        }
    }
}

impl Harness for Local {
    fn teller(&self) -> &Store {
        &self.teller
    }

    fn sink(&self) -> &Store {
        &self.sink
    }

    fn bus(&self) -> Arc<dyn Bus> {
        let instance = Uuid::from_u128(u128::from(self.next.fetch_add(1, Ordering::SeqCst)) + 1_000);
        let source: Arc<dyn Source> = self.carried.clone();
        let options = banyan_bus::GroupOptions { seed: stable_hash(instance.as_bytes()), ..OPTIONS };
        Arc::new(LocalBus::new([source], instance).with(OWNERSHIP, options))
    }

    fn source(&self) -> Arc<dyn Source> {
        Arc::new(self.source.clone())
    }

    fn lose(&self, subject: &str, sequence: i64) {
        self.carried.lose(subject, sequence);
    }

    fn reads(&self) -> u64 {
        self.carried.looks()
    }
}
