//! A record of who turned routes, in the edge's schema.

use std::collections::BTreeMap;

use banyan_kernel::Timestamp;
use banyan_store::{Locks, Store, StoreError};
use serde::Serialize;
use sqlx::{FromRow, types::Json};
use time::format_description::well_known::Rfc3339;

const INSERT: &str = "insert into route_change (module, revision, at, actor, was, becomes, why) \
     values ($1, $2, $3, $4, $5, $6, $7) on conflict (module, revision) do nothing";
/// A revision that leaves one out would hide it from whoever looks for the last.
const FOLLOWS: &str = "select coalesce(max(revision), 0) from route_change where module = $1";
const LAST: &str = "select revision, at, actor, was, becomes, why from route_change where module = $1 \
     order by revision desc limit $2";

/// One change of a route.
#[derive(Clone, Debug, Serialize, FromRow)]
pub struct Change {
    /// Counted from 1.
    pub revision: i64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: Timestamp,
    /// Who, as `role:id`.
    pub actor: String,
    /// Of a thousand keys, by variant, before.
    pub was: Weights,
    /// And after.
    pub becomes: Weights,
    /// Why.
    pub why: String,
}

/// Of a flag's variants, as a row has them.
type Weights = Json<BTreeMap<String, u16>>;

/// The record.
#[derive(Clone)]
pub struct RouteLog(Store);

impl RouteLog {
    /// In the edge's schema.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }

    /// Writes a change down; false, and nothing is written, where it does not follow the last one.
    pub(super) async fn write(&self, module: &str, change: &Change) -> Result<bool, StoreError> {
        let mut write = self.0.begin(&Locks::none()).await?;
        let last: i64 = sqlx::query_scalar(FOLLOWS).bind(module).fetch_one(write.connection()).await?;
        if last + 1 != change.revision {
            return Ok(false);
        }
        let inserted = sqlx::query(INSERT)
            .bind(module)
            .bind(change.revision)
            .bind(change.at)
            .bind(&change.actor)
            .bind(&change.was)
            .bind(&change.becomes)
            .bind(&change.why)
            .execute(write.connection())
            .await?;
        write.commit().await?;
        Ok(inserted.rows_affected() == 1)
    }

    pub(super) async fn last(&self, module: &str, limit: u16) -> Result<Vec<Change>, StoreError> {
        Ok(sqlx::query_as(LAST).bind(module).bind(i64::from(limit)).fetch_all(self.0.pool()).await?)
    }
}

/// A time, for people.
pub(super) fn text(at: Timestamp) -> String {
    at.format(&Rfc3339).unwrap_or_default()
}
