//! A module's fence: who moves or restores a module closes it and raises the epoch.

use sqlx::PgPool;

use crate::{StoreError, lock::class_of, write};

/// Exclusive: waits for every write transaction under way.
const LOCK: &str = "select pg_advisory_xact_lock($1, 0)";
const CLOSE: &str = "update fence set open = false";
const OPEN: &str = "update fence set open = true";
const RAISE: &str = "update fence set epoch = epoch + 1 returning epoch";
const STATE: &str = "select epoch, open from fence";
const IDENTITY: &str = "select (select system_identifier::text from pg_control_system()) || '/' || d.oid || '/' \
     || current_schema() || '/' || f.epoch from pg_database d, fence f where d.datname = current_database()";

/// Closes, opens and raises; see [`crate::Store::fence`].
pub struct Fence<'a> {
    pool: &'a PgPool,
    schema: &'static str,
}

/// The fence's class among the advisory locks.
pub(crate) fn class(schema: &str) -> i32 {
    class_of(schema, "fence")
}

impl<'a> Fence<'a> {
    pub(crate) fn new(pool: &'a PgPool, schema: &'static str) -> Self {
        Self { pool, schema }
    }

    async fn change(&self, statement: &'static str) -> Result<Option<i64>, StoreError> {
        let mut transaction = write::begin(self.pool.acquire().await?).await?;
        sqlx::query(LOCK).bind(class(self.schema)).execute(&mut *transaction).await?;
        let epoch = sqlx::query_scalar(statement).fetch_optional(&mut *transaction).await?;
        transaction.commit().await?;
        Ok(epoch)
    }

    /// After this no write transaction is open and none begins.
    ///
    /// # Errors
    /// As any statement; `Unavailable` when a writer does not end within the lock time-out.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.change(CLOSE).await.map(drop)
    }

    /// Lets writers in again.
    ///
    /// # Errors
    /// As any statement.
    pub async fn open(&self) -> Result<(), StoreError> {
        self.change(OPEN).await.map(drop)
    }

    /// Begins a new incarnation; what was written before is committed and counts as earlier.
    ///
    /// # Errors
    /// As any statement.
    pub async fn raise(&self) -> Result<i64, StoreError> {
        self.change(RAISE).await?.ok_or_else(|| StoreError::Conflict("the fence has no row".into()))
    }

    /// The epoch, and whether writes may begin.
    ///
    /// # Errors
    /// As any statement.
    pub async fn state(&self) -> Result<(i64, bool), StoreError> {
        Ok(sqlx::query_as(STATE).fetch_one(self.pool).await?)
    }
}

/// Which database this is: system identifier, oid, schema, epoch. Two that differ are two databases.
///
/// # Errors
/// As any statement.
pub async fn identity(pool: &PgPool) -> Result<String, StoreError> {
    Ok(sqlx::query_scalar(IDENTITY).fetch_one(pool).await?)
}
