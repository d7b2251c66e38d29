//! A module as a main sees it.

use std::{collections::BTreeMap, sync::Arc};

use banyan_bus::{Consumer, Counters, Source};
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
}

/// What brings a module's events to a carrier, as one member of a group.
pub struct Relaying {
    /// Whose positions say what was brought there.
    pub group: &'static str,
    /// Works until it is told to stop, then finishes what is under way.
    pub run: Box<dyn FnOnce(Arc<Counters>, CancellationToken) -> BoxFuture<'static, ()> + Send>,
}

/// A module: where its truth is, what it tells, what it hears, what it does by itself.
pub struct Module {
    /// Its database.
    pub store: Store,
    /// What the administrator prepares for it.
    pub schema: Schema,
    /// Its public events.
    pub source: Arc<dyn Source>,
    /// What brings them to the carrier, where that is not the database itself.
    pub relaying: Option<Relaying>,
    /// What it does with others' events.
    pub consumers: Vec<Arc<dyn Consumer>>,
    /// What it does by itself.
    pub reconcilers: Vec<Reconciler>,
}
