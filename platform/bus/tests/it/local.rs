//! The suite's harness of the local bus.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use banyan_bus::{
    Bus, LocalBus, OutboxSource, Source,
    testing::{Harness, OPTIONS, OWNERSHIP, SINK, TELLER, schemas},
};
use banyan_kernel::{Envelope, SystemClock, stable_hash};
use banyan_postgres::testing::{TestDatabase, database};
use banyan_store::{Page, Position, Signal, Store, StoreError, prepare, role_of};
use uuid::Uuid;

static PREPARING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// A database of its own, and an outbox that loses events on the way when it is told to.
pub struct Local {
    teller: Store,
    sink: Store,
    source: OutboxSource,
    carried: Arc<Lossy>,
    next: AtomicU64,
    _database: TestDatabase,
}

struct Lossy {
    source: OutboxSource,
    lost: Mutex<BTreeSet<(String, i64)>>,
    reads: AtomicU64,
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
        let carried = Lossy { source: source.clone(), lost: Mutex::default(), reads: AtomicU64::new(0) };
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
        self.carried.lost.lock().unwrap().insert((subject.to_owned(), sequence));
    }

    fn reads(&self) -> u64 {
        self.carried.reads.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Source for Lossy {
    fn name(&self) -> &'static str {
        self.source.name()
    }

    async fn page(&self, after: Position, slots: &[u16], limit: u16) -> Result<Page, StoreError> {
        let mut page = self.source.page(after, slots, limit).await?;
        let lost = self.lost.lock().unwrap();
        page.events.retain(|(_, event)| !lost.contains(&(event.subject.clone(), event.sequence)));
        self.reads.fetch_add(1, Ordering::SeqCst);
        Ok(page)
    }

    async fn end(&self) -> Result<Position, StoreError> {
        self.source.end().await
    }

    async fn of_subject(&self, subject: &str, after_sequence: i64) -> Result<Vec<Envelope>, StoreError> {
        self.source.of_subject(subject, after_sequence).await
    }

    fn signal(&self) -> Signal {
        self.source.signal()
    }
}
