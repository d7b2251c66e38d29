//! Mails that wait to be sent: how many, and for how long the oldest.

use banyan_store::{Store, StoreError};

use super::{gauge, natural, seconds};

/// By the partial index of due mails.
const DUE: &str =
    "select count(*), coalesce(extract(epoch from $1 - min(at)), 0)::float8 from mail where sending = 'due'";

pub(super) async fn look(store: &Store) -> Result<(), StoreError> {
    let now = store.clock().now();
    let (count, age): (i64, f64) = sqlx::query_as(DUE).bind(now).fetch_one(store.pool()).await?;
    gauge("banyan.mails.due", "Mails that wait to be sent").record(natural(count), &[]);
    seconds("banyan.mails.oldest", "Since what the oldest of them tells of").record(age.max(0.0), &[]);
    Ok(())
}
