//! The background work of a process. A part that fails ends the process: what it did is safe to run twice,
//! so a restart is the simplest repair ("Crash-Only Software", G. Candea, A. Fox, HotOS 2003).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use banyan_bus::{Bus, Counters};
use banyan_store::{Ownership, OwnershipConfig};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{Module, Reconciler};

/// Consumers and reconcilers at work.
pub struct Work {
    tasks: JoinSet<Result<(), String>>,
    stop: CancellationToken,
    counters: BTreeMap<&'static str, Arc<Counters>>,
}

impl Work {
    /// Starts the modules' consumers on `bus` and their reconcilers, as member `instance`.
    #[must_use]
    pub fn start(instance: Uuid, bus: &Arc<dyn Bus>, modules: Vec<Module>) -> Self {
        let mut work =
            Self { tasks: JoinSet::new(), stop: CancellationToken::new(), counters: BTreeMap::new() };
        for module in modules {
            for consumer in module.consumers {
                let counters = Arc::new(Counters::default());
                work.counters.insert(consumer.group(), counters.clone());
                let (bus, stop) = (bus.clone(), work.stop.clone());
                work.tasks.spawn(async move {
                    let group = consumer.group();
                    bus.serve(consumer, counters, stop).await.map_err(|error| format!("{group}: {error}"))
                });
            }
            if let Some(relaying) = module.relaying {
                let counters = Arc::new(Counters::default());
                work.counters.insert(relaying.group, counters.clone());
                let run = (relaying.run)(counters, work.stop.clone());
                work.tasks.spawn(async move {
                    run.await;
                    Ok(())
                });
            }
            for reconciler in module.reconcilers {
                let ownership = Ownership::new(
                    Arc::new(module.store.clone()),
                    reconciler.group,
                    instance,
                    OwnershipConfig::default(),
                );
                work.tasks.spawn(reconcile(ownership, reconciler, work.stop.clone()));
            }
        }
        work
    }

    /// What each group has done.
    #[must_use]
    pub fn counters(&self) -> &BTreeMap<&'static str, Arc<Counters>> {
        &self.counters
    }

    /// Waits until a part fails, and says which; while all is well, for ever.
    pub async fn failed(&mut self) -> String {
        loop {
            match self.tasks.join_next().await {
                Some(Ok(Ok(()))) => {}
                Some(Ok(Err(why))) => return why,
                Some(Err(error)) => return error.to_string(),
                None => std::future::pending().await,
            }
        }
    }

    /// Stops taking work, finishes what is under way. False when that took longer than `within`.
    pub async fn drain(mut self, within: Duration) -> bool {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        tokio::time::timeout(within, all).await.is_ok()
    }
}

/// The slots are let go after the work, not under it.
async fn reconcile(
    ownership: Ownership,
    reconciler: Reconciler,
    stop: CancellationToken,
) -> Result<(), String> {
    let done = CancellationToken::new();
    let work = async {
        (reconciler.run)(ownership.held(), stop).await;
        done.cancel();
    };
    tokio::join!(work, ownership.run(done.cancelled()));
    Ok(())
}
