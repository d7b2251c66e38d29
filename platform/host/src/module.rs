//! A module as a main sees it.

use std::{collections::BTreeMap, sync::Arc};

use banyan_bus::{Consumer, Feed, OutboxSource, ReadModel, Relaying, Source};
use banyan_net::outbound;
use banyan_store::{Held, Schema, Store};
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// The slots a process holds of a group.
pub type HeldSlots = watch::Receiver<BTreeMap<u16, Held>>;

/// Level-triggered background work over the slots that this process holds.
pub struct Reconciler {
    /// Whose slots divide the work among processes.
    pub group: &'static str,
    /// Works until it is told to stop, then finishes what is under way.
    pub run: Box<dyn FnOnce(HeldSlots, CancellationToken) -> BoxFuture<'static, ()> + Send>,
}

impl Reconciler {
    /// `run` for `group`.
    pub fn new<F>(
        group: &'static str,
        run: impl FnOnce(HeldSlots, CancellationToken) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self { group, run: Box::new(move |held, stop| Box::pin(run(held, stop))) }
    }

    /// Finds calls to the outside that have no outcome.
    #[must_use]
    pub fn outbound(reconciler: outbound::Reconciler) -> Self {
        Self::new(reconciler.group(), |held, stop| reconciler.run(held, stop))
    }
}

/// A module: where its truth is, what it tells, what it hears, what it shows, what it does by itself.
pub struct Module {
    /// Its database.
    pub store: Store,
    /// What the administrator prepares for it.
    pub schema: Schema,
    /// Its public events.
    pub source: Arc<dyn Source>,
    /// What it tells itself alone.
    pub private: Vec<Arc<dyn Source>>,
    /// What brings its public events to the carrier, where that is not the database itself.
    pub relaying: Option<Relaying>,
    /// What it does with others' events, and with its own.
    pub consumers: Vec<Arc<dyn Consumer>>,
    /// Its views that can be folded again.
    pub read_models: Vec<Arc<dyn ReadModel>>,
    /// What it does by itself.
    pub reconcilers: Vec<Reconciler>,
}

impl Module {
    /// One with an outbox, which hears nobody, shows nothing and does nothing by itself.
    #[must_use]
    pub fn new(schema: Schema, store: Store) -> Self {
        let source = Arc::new(OutboxSource::new(store.clone()));
        let (consumers, read_models, reconcilers) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            store,
            schema,
            source,
            private: Vec::new(),
            relaying: None,
            consumers,
            read_models,
            reconcilers,
        }
    }

    /// It does this with others' events.
    #[must_use]
    pub fn hears(mut self, consumer: impl Consumer) -> Self {
        self.consumers.push(Arc::new(consumer));
        self
    }

    /// It has this view, which is fed like any consumer.
    #[must_use]
    pub fn shows(mut self, model: impl ReadModel) -> Self {
        let model = Arc::new(model);
        self.consumers.push(Arc::new(Feed::new(model.clone())));
        self.read_models.push(model);
        self
    }

    /// It does this by itself.
    #[must_use]
    pub fn does(mut self, reconcilers: impl IntoIterator<Item = Reconciler>) -> Self {
        self.reconcilers.extend(reconcilers);
        self
    }
}
