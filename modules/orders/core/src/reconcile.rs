//! Finds orders that are due in the slots this process holds, and drives them. Level-triggered: what a
//! signal missed, the poll finds.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use banyan_kernel::OrderId;
use banyan_store::{Held, Signal, StoreError};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{BACK_OFF_MAX, Driver, log::OrderLog, postgres::PostgresLog};

/// The net below signals.
const POLL: Duration = Duration::from_millis(100);

/// Drives due orders.
pub struct SagaReconciler<L = PostgresLog> {
    driver: Arc<Driver<L>>,
    signal: Signal,
    under_way: Arc<Mutex<HashSet<OrderId>>>,
    permits: Arc<Semaphore>,
    /// Changes when a callee answers again after a while without.
    woken: watch::Receiver<u64>,
}

/// The orders of a batch that is being driven; taken out of the way of the next look when dropped.
struct UnderWay {
    orders: Vec<OrderId>,
    all: Arc<Mutex<HashSet<OrderId>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|order| !self.orders.contains(order));
    }
}

impl<L: OrderLog> SagaReconciler<L> {
    /// The group whose slots divide the orders among processes.
    pub const GROUP: &'static str = "orders.saga";

    /// Over a driver; `signal` is raised when there may be something due.
    pub fn new(driver: Driver<L>, signal: Signal) -> Self {
        let permits = Arc::new(Semaphore::new(driver.config().batches));
        let woken = watch::Sender::new(0).subscribe();
        Self { driver: Arc::new(driver), signal, under_way: Arc::default(), permits, woken }
    }

    /// When this changes, whatever backed off is due: each order once.
    #[must_use]
    pub fn woken_by(self, woken: watch::Receiver<u64>) -> Self {
        Self { woken, ..self }
    }

    /// Works until `stop`, then finishes what is under way.
    pub async fn run(self, held: watch::Receiver<BTreeMap<u16, Held>>, stop: CancellationToken) {
        let mut batches = JoinSet::new();
        let (mut signal, mut woken) = (self.signal.listen(), self.woken.clone());
        let mut failures = 0;
        // Since it was woken, until nothing is left that backed off.
        let mut roused = None;
        while !stop.is_cancelled() {
            while batches.try_join_next().is_some() {}
            let slots: Vec<u16> = held.borrow().keys().copied().collect();
            match self.turn(&slots, roused.as_mut(), &mut batches).await {
                Ok(true) => failures = 0,
                Ok(false) => {
                    (failures, roused) = (0, None);
                    tokio::select! {
                        biased;
                        () = stop.cancelled() => {}
                        Ok(()) = woken.changed() => roused = Some(HashSet::new()),
                        () = Signal::wait(&mut signal, POLL) => {}
                    }
                }
                Err(error) => {
                    failures = (failures + 1_u32).min(5);
                    tracing::warn!(%error, "cannot look for due orders");
                    tokio::select! { biased; () = stop.cancelled() => {}, () = tokio::time::sleep(POLL * 2_u32.pow(failures)) => {} }
                }
            }
        }
        while batches.join_next().await.is_some() {}
    }

    /// Starts one batch of due orders; false when none is due. Of those `roused`, which are remembered, each is due as well that
    /// waits for a time.
    async fn turn(
        &self,
        slots: &[u16],
        roused: Option<&mut HashSet<OrderId>>,
        batches: &mut JoinSet<()>,
    ) -> Result<bool, StoreError> {
        if slots.is_empty() {
            return Ok(false);
        }
        // Never closed; waits for a batch to end.
        let Ok(permit) = self.permits.clone().acquire_owned().await else { return Ok(false) };
        let mut except = self.under_way.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let (mut now, limit) = (self.driver.clock().now(), self.driver.config().batch);
        if let Some(roused) = &roused {
            now += BACK_OFF_MAX;
            except.extend(roused.iter());
        }
        let orders = self.driver.log().due(slots, now, &except, limit).await?;
        if orders.is_empty() {
            return Ok(false);
        }
        if let Some(roused) = roused {
            roused.extend(&orders);
        }
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner).extend(&orders);
        let guard = UnderWay { orders, all: self.under_way.clone(), _permit: permit };
        let driver = self.driver.clone();
        batches.spawn(async move {
            if let Err(error) = driver.drive(&guard.orders).await {
                tracing::warn!(%error, orders = guard.orders.len(), "a batch was not recorded; it is asked again");
                // The database is in trouble; the same orders are due at once.
                tokio::time::sleep(POLL).await;
            }
        });
        Ok(true)
    }
}
