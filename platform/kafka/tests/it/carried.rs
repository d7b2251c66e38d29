//! The suite's harness of the bus on Kafka: one real broker per test process, a database and topics per test.

use std::{
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use banyan_bus::{
    Bus, Counters, GroupOptions, LocalBus, OutboxSource, Source,
    testing::{Harness, Lossy, OPTIONS, OWNERSHIP, SINK, TELLER, schemas},
};
use banyan_kafka::{Cluster, KafkaBus, Relay, testing::Broker};
use banyan_kernel::{SystemClock, stable_hash};
use banyan_postgres::testing::{TestDatabase, database};
use banyan_store::{
    Store, prepare, role_of,
    sqlx::{Connection, PgConnection},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

static PREPARING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
static BROKER: OnceLock<Result<Broker, String>> = OnceLock::new();
static NEXT: AtomicU64 = AtomicU64::new(1);

/// A database and topics of its own, and a relay between them.
pub struct Kafka {
    pub cluster: Cluster,
    teller: Store,
    sink: Store,
    source: OutboxSource,
    carried: Arc<Lossy>,
    buses: Mutex<Vec<Arc<KafkaBus>>>,
    relay: Mutex<Option<JoinHandle<()>>>,
    relayed: Arc<Counters>,
    database: TestDatabase,
}

/// One for all tests of this process.
pub async fn shared_broker() -> Option<&'static Broker> {
    let started = tokio::task::spawn_blocking(|| BROKER.get_or_init(Broker::start)).await;
    usable(started.expect("a broker starts").as_ref())
}

/// Where there is none the test says so and is passed over.
pub fn usable<T>(broker: Result<T, &String>) -> Option<T> {
    broker.map_err(|why| eprintln!("passed over, since no Kafka broker can be started: {why}")).ok()
}

pub fn instance() -> Uuid {
    Uuid::from_u128(u128::from(NEXT.fetch_add(1, Ordering::SeqCst)) + 1_000)
}

pub fn options(instance: Uuid) -> GroupOptions {
    // Marks come often, so that every test has them between its events.
    let checkpoint = Duration::from_millis(100);
    GroupOptions { seed: stable_hash(instance.as_bytes()), checkpoint, ..OPTIONS }
}

impl Kafka {
    pub async fn new() -> Option<Self> {
        Some(Self::on(shared_broker().await?).await)
    }

    pub async fn on(broker: &Broker) -> Self {
        let harness = Self::without_relay(broker).await;
        harness.start_relay();
        harness
    }

    pub async fn without_relay(broker: &Broker) -> Self {
        let database = database().await;
        // Roles are the cluster's, and the turn that `prepare` takes is the database's.
        let turn = PREPARING.lock().await;
        prepare(&database.superuser(), "", &schemas()).await.expect("the schemas can be made");
        drop(turn);
        let store = |name| Store::new(database.options(&role_of(name)), name, 12, Arc::new(SystemClock));
        let (teller, sink) = (store(TELLER), store(SINK));
        let source = OutboxSource::new(teller.clone());
        let carried = Arc::new(Lossy::new(source.clone()));
        let cluster = broker.cluster(&database.name);
        let (buses, relay, relayed) = Default::default();
        Self { cluster, teller, sink, source, carried, buses, relay, relayed, database }
    }

    /// A relay as one more process has it.
    pub fn start_relay(&self) {
        let me = instance();
        let relay = Relay::new(self.cluster.clone(), self.carried.clone(), self.teller.clone(), me)
            .with(OWNERSHIP, options(me));
        let relayed = self.relayed.clone();
        let task = tokio::spawn(async move { relay.run(relayed, CancellationToken::new()).await });
        *self.relay.lock().unwrap() = Some(task);
    }

    /// How many events the relays have published and written down.
    pub fn relayed(&self) -> u64 {
        self.relayed.applied.load(Ordering::SeqCst)
    }

    /// Ends it between two instructions, as `kill -9` does.
    pub async fn kill_relay(&self) {
        let relay = self.relay.lock().unwrap().take().expect("a relay runs");
        relay.abort();
        let _ = relay.await;
    }

    /// Somebody whom no limit of a role ends.
    pub async fn administrator(&self, schema: &str) -> PgConnection {
        let options = self.database.superuser().options([("search_path", schema)]);
        PgConnection::connect_with(&options).await.expect("the superuser can connect")
    }

    pub fn kafka(&self) -> Arc<KafkaBus> {
        let me = instance();
        let source: Arc<dyn Source> = Arc::new(self.source.clone());
        let bus = Arc::new(KafkaBus::new(self.cluster.clone(), [source], me).with(OWNERSHIP, options(me)));
        self.buses.lock().unwrap().push(bus.clone());
        bus
    }

    /// The other carrier, between the same databases.
    pub fn local(&self) -> Arc<dyn Bus> {
        let me = instance();
        let source: Arc<dyn Source> = Arc::new(self.source.clone());
        Arc::new(LocalBus::new([source], me).with(OWNERSHIP, options(me)))
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        if let Some(relay) = self.relay.lock().unwrap().take() {
            relay.abort();
        }
    }
}

impl Harness for Kafka {
    fn teller(&self) -> &Store {
        &self.teller
    }

    fn sink(&self) -> &Store {
        &self.sink
    }

    fn bus(&self) -> Arc<dyn Bus> {
        self.kafka()
    }

    fn source(&self) -> Arc<dyn Source> {
        Arc::new(self.source.clone())
    }

    fn lose(&self, subject: &str, sequence: i64) {
        self.carried.lose(subject, sequence);
    }

    fn reads(&self) -> u64 {
        self.buses.lock().unwrap().iter().map(|bus| bus.reads()).sum()
    }

    fn looks(&self) -> u64 {
        self.carried.looks()
    }
}
