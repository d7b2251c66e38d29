//! The way out when a topic no longer has what was published: it is published again, and read from its beginning.

use banyan_store::{Store, StoreError, sqlx};

/// The epoch rises, so that whoever holds a slot takes it anew.
const REPUBLISH: &str = "update slot set epoch = epoch + 1, holder = null, source_epoch = 0, source_xid = '0', source_seq = 0, \
     carrier_cluster = null, carrier_partitions = null, carrier_offset = null where group_name = $1";
const BEGIN_ANEW: &str = "update slot set epoch = epoch + 1, holder = null, \
     carrier_cluster = null, carrier_partitions = null, carrier_offset = null where group_name = $1";

/// The relay of the module that `store` belongs to publishes its whole outbox again.
///
/// # Errors
/// As any statement.
pub async fn republish(store: &Store) -> Result<(), StoreError> {
    let group = format!("{}.relay", store.schema());
    sqlx::query(REPUBLISH).bind(group).execute(store.pool()).await?;
    Ok(())
}

/// A consumer's group reads its partitions from their beginning, and passes over what its positions say was applied. To be
/// called after [`republish`] of what it hears.
///
/// # Errors
/// As any statement.
pub async fn begin_anew(store: &Store, group: &str) -> Result<(), StoreError> {
    sqlx::query(BEGIN_ANEW).bind(group).execute(store.pool()).await?;
    Ok(())
}
