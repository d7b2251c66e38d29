//! What a process keeps in memory of what others tell.

use std::{sync::Arc, time::Duration};

use banyan_kernel::Envelope;
use futures::future::BoxFuture;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::{Bus, BusError};

/// A start waits so long until its caches hear.
const HEAR: Duration = Duration::from_secs(5);

/// What is in memory, and must hear what changes.
pub struct Hearing {
    /// Whose events make it old.
    pub source: &'static str,
    /// Hears them, until there are no more.
    pub hear: Box<dyn FnOnce(broadcast::Receiver<Arc<Envelope>>) -> BoxFuture<'static, ()> + Send>,
}

/// Has the caches hear what changes, until `stop`. A carrier that is away for long is not waited for: until it is back what is in
/// memory is as old as it may become, and no older.
///
/// # Errors
/// When a source cannot be read now.
pub async fn hear(
    bus: &Arc<dyn Bus>,
    caches: Vec<Hearing>,
    stop: &CancellationToken,
) -> Result<(), BusError> {
    for cache in caches {
        let (bus, stop) = (bus.clone(), stop.clone());
        let mut hearing = tokio::spawn(async move {
            let told = bus.broadcast(cache.source, stop).await?;
            tokio::spawn((cache.hear)(told));
            Ok::<(), BusError>(())
        });
        match tokio::time::timeout(HEAR, &mut hearing).await {
            Ok(heard) => heard.unwrap_or(Ok(()))?,
            Err(_) => {
                tracing::warn!(cache.source, correlation = "", "a cache does not hear yet what changes")
            }
        }
    }
    Ok(())
}
