//! The bus, whatever carries the events.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use banyan_kernel::{Envelope, stable_hash};
use banyan_store::{Ownership, OwnershipConfig, StoreError};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Consumer, Counters, GroupOptions, PgInbox, Source, run_group, subscribe};

/// Why the bus does not serve.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The bus does not carry this source: the composition root forgot it.
    #[error("the bus does not carry the events of {0}")]
    UnknownSource(String),
    /// The source cannot be read now; try again later.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Carries events between modules: durable, at least once, in order per key.
#[async_trait]
pub trait Bus: Send + Sync + 'static {
    /// Serves the consumer's group, as one of its members, until `stop`; then finishes the batch under way
    /// and lets its slots go.
    async fn serve(
        &self,
        consumer: Arc<dyn Consumer>,
        counters: Arc<Counters>,
        stop: CancellationToken,
    ) -> Result<(), BusError>;

    /// Everything a source tells from now on, until `stop`; see [`subscribe`]. Where its carrier is away it waits for it.
    async fn broadcast(
        &self,
        source: &str,
        stop: CancellationToken,
    ) -> Result<broadcast::Receiver<Arc<Envelope>>, BusError>;
}

/// The bus within one database: consumers read the sources' outboxes.
pub struct LocalBus {
    sources: BTreeMap<&'static str, Arc<dyn Source>>,
    instance: Uuid,
    ownership: OwnershipConfig,
    options: GroupOptions,
}

impl LocalBus {
    /// Carries these sources. `instance` is unique among living processes; each is one member of a group.
    #[must_use]
    pub fn new(sources: impl IntoIterator<Item = Arc<dyn Source>>, instance: Uuid) -> Self {
        let sources = sources.into_iter().map(|source| (source.name(), source)).collect();
        let options = GroupOptions { seed: stable_hash(instance.as_bytes()), ..GroupOptions::default() };
        Self { sources, instance, ownership: OwnershipConfig::default(), options }
    }

    /// With other limits: of the slots' ownership, and of each group's driver.
    #[must_use]
    pub fn with(mut self, ownership: OwnershipConfig, options: GroupOptions) -> Self {
        (self.ownership, self.options) = (ownership, options);
        self
    }

    /// A source that this bus carries.
    ///
    /// # Errors
    /// When it does not carry it.
    pub fn source(&self, name: &str) -> Result<Arc<dyn Source>, BusError> {
        self.sources.get(name).cloned().ok_or_else(|| BusError::UnknownSource(name.to_owned()))
    }
}

#[async_trait]
impl Bus for LocalBus {
    async fn serve(
        &self,
        consumer: Arc<dyn Consumer>,
        counters: Arc<Counters>,
        stop: CancellationToken,
    ) -> Result<(), BusError> {
        let source = self.source(consumer.source())?;
        let table = Arc::new(consumer.store().clone());
        let ownership = Ownership::new(table, consumer.group(), self.instance, self.ownership);
        let (held, done) = (ownership.held(), CancellationToken::new());
        // The slots are let go after the last batch, not under it.
        let driver = async {
            let inbox = PgInbox::new(consumer.clone());
            run_group(source, inbox, held, self.options.clone(), counters, stop).await;
            done.cancel();
        };
        tokio::join!(driver, ownership.run(done.cancelled()));
        Ok(())
    }

    async fn broadcast(
        &self,
        source: &str,
        stop: CancellationToken,
    ) -> Result<broadcast::Receiver<Arc<Envelope>>, BusError> {
        Ok(subscribe(self.source(source)?, stop).await?)
    }
}
