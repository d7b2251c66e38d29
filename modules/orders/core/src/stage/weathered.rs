//! The log in memory as one process sees it: at each operation something may happen.

use std::{collections::HashSet, sync::Arc};

use async_trait::async_trait;
use banyan_kernel::{OrderId, Timestamp};
use banyan_store::{Signal, StoreError};

use super::{At, LogFault, Weather};
use crate::{
    log::{Kept, Loaded, OrderLog, Save},
    memory::MemoryLog,
};

/// A process's way to the log.
#[derive(Clone)]
pub(crate) struct Weathered {
    pub log: Arc<MemoryLog>,
    pub weather: Arc<dyn Weather>,
    pub signal: Signal,
}

fn lost(what: &str) -> StoreError {
    StoreError::Unavailable(what.to_owned())
}

#[async_trait]
impl OrderLog for Weathered {
    async fn due(
        &self,
        slots: &[u16],
        now: Timestamp,
        except: &HashSet<OrderId>,
        limit: u16,
    ) -> Result<Vec<OrderId>, StoreError> {
        self.weather.step(At::Reading).await;
        if self.weather.log_fault() != LogFault::None {
            return Err(lost("away"));
        }
        self.log.due(slots, now, except, limit).await
    }

    async fn load(&self, orders: &[OrderId]) -> Result<Vec<Loaded>, StoreError> {
        let loaded = self.log.load(orders).await;
        self.weather.step(At::Reading).await;
        loaded
    }

    async fn save(&self, batch: &[Save]) -> Result<Vec<Kept>, StoreError> {
        self.weather.step(At::Saving).await;
        let fault = self.weather.log_fault();
        if fault == LogFault::BeforeCommit {
            return Err(lost("the commit did not come about"));
        }
        let kept = self.log.save(batch).await;
        self.signal.raise();
        self.weather.step(At::Saved).await;
        if fault == LogFault::AfterCommit { Err(lost("the commit's answer was lost")) } else { kept }
    }

    async fn put_off(&self, orders: &[OrderId], until: Timestamp, why: &str) -> Result<(), StoreError> {
        self.log.put_off(orders, until, why).await
    }
}
