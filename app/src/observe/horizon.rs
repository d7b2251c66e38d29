//! Who holds the horizon: the oldest writing transaction of the whole server, whosever it is, holds back every reader of
//! every outbox.

use banyan_store::{Store, StoreError};
use serde::Serialize;
use sqlx::FromRow;

use super::seconds;

/// Read-only transactions hold nothing back; the server's own processes have no transaction of this kind.
const HOLDER: &str = "select pid, coalesce(datname, '') as database, coalesce(usename, '') as role, \
     coalesce(application_name, '') as application, coalesce(state, '') as state, \
     extract(epoch from clock_timestamp() - xact_start)::float8 as age_s, left(coalesce(query, ''), 200) as query \
     from pg_stat_activity where backend_xid is not null and pid <> pg_backend_pid() \
     order by xact_start limit 1";
/// A transaction that was prepared and forgotten has no process.
const PREPARED: &str = "select 0 as pid, database, owner as role, 'prepared transaction' as application, gid as state, \
     extract(epoch from clock_timestamp() - prepared)::float8 as age_s, '' as query \
     from pg_prepared_xacts order by prepared limit 1";

/// Longer than any transaction of a module may be idle or wait.
const TOO_LONG_S: f64 = 5.0;

/// The oldest writing transaction.
#[derive(Clone, Debug, PartialEq, Serialize, FromRow)]
pub struct Holder {
    /// Its process at the server; 0 for a prepared transaction.
    pub pid: i32,
    /// Its database.
    pub database: String,
    /// Who.
    pub role: String,
    /// What it calls itself.
    pub application: String,
    /// What it is doing; the name of a prepared transaction.
    pub state: String,
    /// Since it began.
    pub age_s: f64,
    /// Its last statement, cut.
    pub query: String,
}

impl Holder {
    /// The oldest there is now.
    ///
    /// # Errors
    /// As any statement.
    pub async fn find(edge: &Store) -> Result<Option<Self>, StoreError> {
        let running: Option<Self> = sqlx::query_as(HOLDER).fetch_optional(edge.pool()).await?;
        let prepared: Option<Self> = sqlx::query_as(PREPARED).fetch_optional(edge.pool()).await?;
        let both = running.into_iter().chain(prepared);
        Ok(both.max_by(|one, other| one.age_s.total_cmp(&other.age_s)))
    }
}

/// Names whoever holds it for too long, once each.
pub(super) async fn look(edge: &Store, named: Option<i32>) -> Result<Option<i32>, StoreError> {
    let holder = Holder::find(edge).await?;
    let age = holder.as_ref().map_or(0.0, |holder| holder.age_s);
    seconds("banyan.horizon.age", "Since the oldest writing transaction of the server began")
        .record(age, &[]);
    let Some(holder) = holder.filter(|holder| holder.age_s >= TOO_LONG_S) else { return Ok(None) };
    if named != Some(holder.pid) {
        let Holder { pid, database, role, application, state, age_s, query } = &holder;
        tracing::error!(
            pid,
            database,
            role,
            application,
            state,
            age_s,
            query,
            "a transaction holds the horizon: events after it are not read; see RUNBOOK.md, \"Events do not arrive\""
        );
    }
    Ok(Some(holder.pid))
}
