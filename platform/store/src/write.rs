//! The one write path.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use banyan_kernel::Clock;
use opentelemetry::{KeyValue, global, metrics::Histogram};
use sqlx::{
    PgConnection, PgPool, Postgres, Transaction,
    pool::PoolConnection,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{Fence, Locks, Signal, StoreError, fence, lock::class_of, outbox};

/// Waits for the fence, then for each key in the order given. Neither assigns an xid.
const LOCK_FENCE: &str = "select pg_advisory_xact_lock_shared($1, 0)";
const LOCK_KEYS: &str =
    "select pg_advisory_xact_lock(class, key) from unnest($1::int[], $2::int[]) as t(class, key)";
const TRY_LOCK_KEYS: &str =
    "select pg_try_advisory_xact_lock(class, key) from unnest($1::int[], $2::int[]) as t(class, key)";
/// In a statement after the lock: in the same one it would see the fence as it was before the wait.
const READ_FENCE: &str = "select epoch, open from fence";

/// What writes wait for the pool: the first to grow when a pool is too small.
static ACQUIRED: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    global::meter("banyan")
        .f64_histogram("banyan.pool.wait.duration")
        .with_description("What a write waited for a connection, by module and whether it had one in the end")
        .with_unit("s")
        .with_boundaries(vec![0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 3.0])
        .build()
});

/// How long a write waits outside for a closed fence to open.
const CLOSED_WAIT: Duration = Duration::from_secs(2);
const CLOSED_POLL: Duration = Duration::from_millis(20);
/// How long a write waits for a connection of the pool.
const ACQUIRE: Duration = Duration::from_secs(3);

/// Begins in a task of its own, which lives on when who asks is gone (a client that hangs up, a time-out). sqlx 0.9.0 forgets a
/// transaction whose `BEGIN` was sent and not yet answered, and the connection would go back into the pool with it open
/// (<https://github.com/launchbadge/sqlx/issues/4385>).
pub(crate) async fn begin(
    connection: PoolConnection<Postgres>,
) -> Result<Transaction<'static, Postgres>, sqlx::Error> {
    let begun = tokio::spawn(Transaction::begin(connection, None)).await;
    begun.unwrap_or(Err(sqlx::Error::WorkerCrashed))
}

/// A module's database: its own schema under its own role, and a clock.
#[derive(Clone)]
pub struct Store {
    pool: PgPool,
    schema: &'static str,
    signal: Signal,
    clock: Arc<dyn Clock>,
}

/// An open write transaction: locked, not yet decided. Dropped, it leaves nothing.
pub struct Write {
    transaction: Transaction<'static, Postgres>,
    schema: &'static str,
    signal: Signal,
    epoch: i64,
}

impl Store {
    /// A pool of at most `connections` to the module's schema; `options` log in as the module's role.
    /// Connects when first used.
    #[must_use]
    pub fn new(
        options: PgConnectOptions,
        schema: &'static str,
        connections: u32,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let options = options.application_name(&format!("banyan {schema}"));
        let pool = PgPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(ACQUIRE)
            .test_before_acquire(false)
            .connect_lazy_with(options);
        Self { pool, schema, signal: Signal::default(), clock }
    }

    /// Opens a write: fence, then `locks`, then nothing else; the caller reads, decides and writes.
    ///
    /// # Errors
    /// `Closed` when the fence stays shut, `Unavailable` when the database or a lock is not to be had.
    pub async fn begin(&self, locks: &Locks) -> Result<Write, StoreError> {
        let deadline = tokio::time::Instant::now() + CLOSED_WAIT;
        loop {
            let mut write = self.open().await?;
            write.take(LOCK_KEYS, locks).await?;
            if write.passes_fence().await? {
                return Ok(write);
            }
            drop(write);
            if tokio::time::Instant::now() >= deadline {
                return Err(StoreError::Closed);
            }
            tokio::time::sleep(CLOSED_POLL).await;
        }
    }

    /// As [`Self::begin`], but a key that another transaction holds is not waited for. Tells for each key,
    /// in the order of `keys`, whether it was free.
    ///
    /// # Errors
    /// As for [`Self::begin`].
    pub async fn begin_where_free(
        &self,
        kind: &'static str,
        keys: &[String],
    ) -> Result<(Write, Vec<bool>), StoreError> {
        let mut write = self.begin(&Locks::none()).await?;
        // Not through the buckets of `Locks`: a shared bucket would call a free key busy.
        let numbers: Vec<i32> =
            keys.iter().map(|key| banyan_kernel::stable_hash(key.as_bytes()) as i32).collect();
        let classes = vec![class_of(self.schema, kind); keys.len()];
        let free = sqlx::query_scalar(TRY_LOCK_KEYS)
            .bind(classes)
            .bind(numbers)
            .fetch_all(write.connection())
            .await?;
        Ok((write, free))
    }

    async fn open(&self) -> Result<Write, StoreError> {
        let began = tokio::time::Instant::now();
        let connection = self.pool.acquire().await;
        let labels = [KeyValue::new("module", self.schema), KeyValue::new("had", connection.is_ok())];
        ACQUIRED.record(began.elapsed().as_secs_f64(), &labels);
        let transaction = begin(connection?).await?;
        let mut write = Write { transaction, schema: self.schema, signal: self.signal.clone(), epoch: 0 };
        let class = fence::class(self.schema);
        sqlx::query(LOCK_FENCE).bind(class).execute(write.connection()).await?;
        Ok(write)
    }

    /// For reading alone.
    #[must_use]
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// The schema, which is the module's name.
    #[must_use]
    pub fn schema(&self) -> &'static str {
        self.schema
    }

    /// Raised after each commit that told something or was marked to.
    #[must_use]
    pub fn signal(&self) -> &Signal {
        &self.signal
    }

    /// The module's clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The module's fence.
    #[must_use]
    pub fn fence(&self) -> Fence<'_> {
        Fence::new(&self.pool, self.schema)
    }
}

impl Write {
    async fn take(&mut self, statement: &'static str, locks: &Locks) -> Result<(), StoreError> {
        let (classes, keys) = locks.pairs(self.schema);
        if !keys.is_empty() {
            sqlx::query(statement).bind(classes).bind(keys).execute(self.connection()).await?;
        }
        Ok(())
    }

    async fn passes_fence(&mut self) -> Result<bool, StoreError> {
        let (epoch, open): (i64, bool) = sqlx::query_as(READ_FENCE).fetch_one(self.connection()).await?;
        self.epoch = epoch;
        Ok(open)
    }

    /// To read and write through.
    pub fn connection(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    /// The incarnation of the database that this transaction writes in.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// Puts events into the outbox, in the order given.
    ///
    /// # Errors
    /// As any statement.
    pub async fn tell(&mut self, events: &[outbox::Tell]) -> Result<(), StoreError> {
        let (schema, epoch) = (self.schema, self.epoch);
        outbox::insert(self.connection(), schema, epoch, events).await
    }

    /// Commits, and wakes who waits for what was committed.
    ///
    /// # Errors
    /// `Unavailable` leaves the outcome unknown: ask again under the same ids.
    pub async fn commit(self) -> Result<(), StoreError> {
        self.transaction.commit().await?;
        self.signal.raise();
        Ok(())
    }

    /// Ends it without a trace.
    pub async fn abandon(self) {
        // A connection that cannot roll back is closed by the pool; nothing was committed either way.
        let _ = self.transaction.rollback().await;
    }
}
