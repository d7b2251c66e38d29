//! The way out when a topic no longer has what was published: it is published again, and read from its beginning.

use std::time::Duration;

use banyan_store::{Store, StoreError, sqlx};

use crate::{Cluster, KafkaFailure, relay::relay_of};

const LOOKS: u32 = 50;
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// The epoch rises, so that whoever holds a slot takes it anew.
const REPUBLISH: &str = "update slot set epoch = epoch + 1, holder = null, source_epoch = 0, source_xid = '0', source_seq = 0, \
     carrier_cluster = null, carrier_partitions = null, carrier_offset = null where group_name = $1";
const BEGIN_ANEW: &str = "update slot set epoch = epoch + 1, holder = null, \
     carrier_cluster = null, carrier_partitions = null, carrier_offset = null where group_name = $1";

/// The relay of `source`, which the module tells that `store` belongs to, publishes the whole outbox again.
///
/// # Errors
/// As any statement.
pub async fn republish(store: &Store, source: &str) -> Result<(), StoreError> {
    sqlx::query(REPUBLISH).bind(relay_of(source)).execute(store.pool()).await?;
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

/// Makes a source's topic anew from its outbox, where it no longer has, or never had, what is said to be in it: another cluster at its
/// address, other partitions, records that were deleted before they were read, a restored database. `groups` are all that
/// hear it, each with its own store.
///
/// # Errors
/// When the cluster or a database cannot do it now: to be called again.
pub async fn recover(
    cluster: &Cluster,
    source: &str,
    store: &Store,
    groups: &[(Store, &str)],
) -> Result<(), KafkaFailure> {
    // Who published so far is fenced first: what is published between here and the end begins with the oldest event.
    republish(store, source).await?;
    cluster.delete(source).await?;
    made(cluster, source).await?;
    republish(store, source).await?;
    for (store, group) in groups {
        begin_anew(store, group).await?;
    }
    Ok(())
}

/// A topic that was made a moment ago is not known to every broker.
async fn made(cluster: &Cluster, source: &str) -> Result<(), KafkaFailure> {
    for _ in 0..LOOKS {
        if cluster.open(source).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    cluster.open(source).await.map(drop)
}
