//! The fence: who raises the epoch waits for writers under way, and nobody writes through a closed one.

use std::{sync::Arc, time::Duration};

use banyan_kernel::{Context, ManualClock, Timestamp, TraceParent};
use banyan_postgres::testing::{TestDatabase, database};
use banyan_store::{Locks, Schema, Store, StoreError, Tell, prepare, role_of, sqlx};
use sqlx::migrate::Migrator;
use tokio::task::JoinHandle;
use uuid::Uuid;

/// Only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(10);
const NAME: &str = "probe";
const WAITING: &str = "select count(*) from pg_stat_activity where datname = current_database() \
     and wait_event_type = 'Lock' and query like '%pg_advisory_xact_lock%($1, 0)%'";
const EPOCHS: &str = "select epoch from outbox";

pub(crate) async fn store() -> (TestDatabase, Store) {
    let database = database().await;
    let migrations: &'static Migrator = Box::leak(Box::new(Migrator::with_migrations(Vec::new())));
    let schema = Schema { name: NAME, migrations, insert_only: &[], reads_statistics: false };
    prepare(&database.superuser(), "", &[schema]).await.expect("a schema");
    let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
    let store = Store::new(database.options(&role_of(NAME)), NAME, 4, clock);
    (database, store)
}

fn event() -> Tell {
    Tell {
        kind: "Happened",
        subject: "it".to_owned(),
        sequence: 1,
        schema_version: 1,
        data: serde_json::json!({}),
        at: Timestamp::UNIX_EPOCH,
        causation: String::new(),
        context: Context::system("test", TraceParent::root(Uuid::from_u128(1))),
    }
}

fn raise(store: &Store) -> JoinHandle<Result<i64, StoreError>> {
    let store = store.clone();
    tokio::spawn(async move { store.fence().raise().await })
}

/// Until so many wait for the fence.
async fn waiting(store: &Store, count: i64, meanwhile: impl Fn()) {
    let waits = async {
        loop {
            let waiting: i64 = sqlx::query_scalar(WAITING).fetch_one(store.pool()).await.expect("activity");
            if waiting >= count {
                break;
            }
            meanwhile();
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.expect("they wait");
}

async fn epochs(store: &Store) -> Vec<i64> {
    sqlx::query_scalar(EPOCHS).fetch_all(store.pool()).await.expect("the outbox")
}

/// Else a transaction of the old epoch could commit after a reader has gone past that epoch, and never be read.
#[tokio::test]
async fn raising_the_epoch_waits_for_the_writers_under_way() {
    let (_database, store) = store().await;
    let mut write = store.begin(&Locks::none()).await.expect("a write");
    write.tell(&[event()]).await.expect("told");
    let raising = raise(&store);
    waiting(&store, 1, || assert!(!raising.is_finished(), "the epoch was raised under a writer")).await;
    write.commit().await.expect("committed");
    assert_eq!(raising.await.expect("no panic").expect("raised"), 2);
    assert_eq!(epochs(&store).await, [1], "what was under way is of the epoch before");
}

/// Else it would write into the epoch that it saw before it waited, behind a reader who has gone past that epoch.
#[tokio::test]
async fn who_waited_for_the_fence_sees_it_as_it_is_after_the_wait() {
    let (_database, store) = store().await;
    let before = store.begin(&Locks::none()).await.expect("a write");
    let raising = raise(&store);
    waiting(&store, 1, || {}).await;
    // Queues behind who raises, who queues behind the write under way.
    let writing = {
        let store = store.clone();
        tokio::spawn(async move {
            let mut write = store.begin(&Locks::none()).await?;
            write.tell(&[event()]).await?;
            write.commit().await
        })
    };
    waiting(&store, 2, || {}).await;
    before.abandon().await;
    assert_eq!(raising.await.expect("no panic").expect("raised"), 2);
    writing.await.expect("no panic").expect("written");
    assert_eq!(epochs(&store).await, [2]);
}

#[tokio::test]
async fn nobody_writes_through_a_closed_fence_and_who_waits_goes_on_when_it_opens() {
    let (_database, store) = store().await;
    store.fence().close().await.expect("closed");
    assert!(matches!(store.begin(&Locks::none()).await, Err(StoreError::Closed)));
    let waiting = {
        let store = store.clone();
        tokio::spawn(async move { store.begin(&Locks::none()).await?.commit().await })
    };
    store.fence().open().await.expect("open");
    waiting.await.expect("no panic").expect("written");
}
