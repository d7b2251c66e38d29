//! The fence: who raises the epoch waits for writers under way, and nobody writes through a closed one.

use std::{sync::Arc, time::Duration};

use banyan_kernel::{Context, ManualClock, Timestamp, TraceParent};
use banyan_postgres::testing::{TestDatabase, database};
use banyan_store::{Locks, Schema, Store, StoreError, Tell, prepare, role_of, sqlx};
use sqlx::migrate::Migrator;
use uuid::Uuid;

/// Only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(10);
const NAME: &str = "probe";
const WAITING: &str = "select count(*) from pg_stat_activity where datname = current_database() \
     and wait_event_type = 'Lock' and query like '%pg_advisory_xact_lock($1, 0)%'";

async fn store() -> (TestDatabase, Store) {
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

/// Else a transaction of the old epoch could commit after a reader has gone past that epoch, and never be read.
#[tokio::test]
async fn raising_the_epoch_waits_for_the_writers_under_way() {
    let (_database, store) = store().await;
    let mut write = store.begin(&Locks::none()).await.expect("a write");
    write.tell(&[event()]).await.expect("told");
    let raising = {
        let store = store.clone();
        tokio::spawn(async move { store.fence().raise().await })
    };
    let waits = async {
        loop {
            let waiting: i64 = sqlx::query_scalar(WAITING).fetch_one(store.pool()).await.expect("activity");
            if waiting > 0 {
                break;
            }
            assert!(!raising.is_finished(), "the epoch was raised under a writer");
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.expect("it waits");
    write.commit().await.expect("committed");
    assert_eq!(raising.await.expect("no panic").expect("raised"), 2);
    let told: Vec<i64> =
        sqlx::query_scalar("select epoch from outbox").fetch_all(store.pool()).await.expect("the outbox");
    assert_eq!(told, [1], "what was under way is of the epoch before");
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
