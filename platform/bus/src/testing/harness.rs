//! What a bus brings to be tested.

use std::{sync::Arc, time::Duration};

use banyan_kernel::{Context, Json, TraceParent};
use banyan_store::{Locks, OwnershipConfig, Store, StoreError, Tell};
use tokio::{task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::ledger::{COUNTED, Ledger};
use crate::{Bus, Counters, DeadLetters, GroupOptions, Source};

/// Members of the suite beat fast, so that a death is seen fast.
pub const OWNERSHIP: OwnershipConfig =
    OwnershipConfig { beat: Duration::from_millis(50), time_to_live: Duration::from_millis(600) };

/// And their groups wait little.
pub const OPTIONS: GroupOptions = GroupOptions {
    page_events: 500,
    poll: Duration::from_millis(200),
    backoff: (Duration::from_millis(5), Duration::from_millis(100)),
    attempts: 3,
    retry: Duration::from_millis(5),
    deaths: 3,
    suspicion: Duration::from_millis(20),
    gap_tries: 3,
    gap_wait: Duration::from_millis(100),
    checkpoint: Duration::from_secs(10),
    seed: 1,
};

/// A carrier between two databases of their own, [`super::schemas`] prepared in them.
pub trait Harness: Send + Sync + 'static {
    /// The telling module's store, as its role.
    fn teller(&self) -> &Store;
    /// The consuming module's, as its role.
    fn sink(&self) -> &Store;
    /// A bus as one more process has it, with [`OWNERSHIP`] and [`OPTIONS`].
    fn bus(&self) -> Arc<dyn Bus>;
    /// The telling module as a source, which knows all of its events.
    fn source(&self) -> Arc<dyn Source>;
    /// From now on the carrier loses this event.
    fn lose(&self, subject: &str, sequence: i64);
    /// How often the members have asked for events.
    fn reads(&self) -> u64;
    /// How often the carrier has looked for new events in the outbox.
    fn looks(&self) -> u64 {
        self.reads()
    }
}

/// A process that serves a group.
pub struct Member {
    /// What it did.
    pub counters: Arc<Counters>,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Member {
    /// Begins to serve `ledger` on a bus of its own.
    pub fn start(harness: &impl Harness, ledger: &Arc<Ledger>) -> Self {
        Self::on(harness.bus(), ledger)
    }

    /// Begins to serve `ledger` on this bus.
    pub fn on(bus: Arc<dyn Bus>, ledger: &Arc<Ledger>) -> Self {
        let ledger = ledger.clone();
        let (counters, stop) = (Arc::new(Counters::default()), CancellationToken::new());
        let (counted, stopped) = (counters.clone(), stop.clone());
        let task = tokio::spawn(async move {
            bus.serve(ledger, counted, stopped).await.expect("the harness's bus carries the teller");
        });
        Self { counters, stop, task }
    }

    /// Ends it in good order.
    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.expect("a member ends when it is told to");
    }

    /// Ends it between two instructions, as `kill -9` does.
    pub async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// One event to be told.
#[must_use]
pub fn told(subject: &str, sequence: i64, kind: &'static str) -> Tell {
    Tell {
        kind,
        subject: subject.to_owned(),
        sequence,
        schema_version: 1,
        data: Json::Null,
        at: time_of(sequence),
        causation: "suite".to_owned(),
        context: Context::system("suite", TraceParent::root(Uuid::from_u128(7))),
    }
}

fn time_of(sequence: i64) -> banyan_kernel::Timestamp {
    banyan_kernel::Clock::now(&banyan_kernel::ManualClock::at_micros(sequence))
}

/// Tells events in one transaction.
pub async fn tell(store: &Store, events: &[Tell]) {
    let locks = Locks::none().and("subject", events.iter().map(|event| &event.subject));
    let mut write = store.begin(&locks).await.expect("the teller's database writes");
    write.tell(events).await.expect("the outbox takes events");
    write.commit().await.expect("the teller's database commits");
}

/// Tells ordinary events `first..=last` of a subject, each in a transaction of its own.
pub(super) async fn tell_each(store: &Store, subject: &str, sequences: std::ops::RangeInclusive<i64>) {
    for sequence in sequences {
        tell(store, &[told(subject, sequence, COUNTED)]).await;
    }
}

/// The letters of the ledger's group.
pub(super) fn letters(harness: &impl Harness, ledger: &Arc<Ledger>) -> DeadLetters {
    DeadLetters::new(ledger.clone(), harness.source())
}

/// Then what is waited for does not come: a busy machine takes its time.
pub(super) const DEADLINE: Duration = Duration::from_secs(120);

/// Looks again and again until it is so.
///
/// # Panics
/// When it is not so after two minutes.
pub async fn until<F: Future<Output = Result<bool, StoreError>>>(what: &str, mut is_so: impl FnMut() -> F) {
    let deadline = Instant::now() + DEADLINE;
    while !matches!(is_so().await, Ok(true)) {
        assert!(Instant::now() < deadline, "waited {DEADLINE:?} until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
