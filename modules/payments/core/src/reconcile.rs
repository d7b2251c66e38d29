//! Finds calls to the gateway without an outcome, and makes them again.

use std::{collections::BTreeMap, sync::Arc};

use banyan_net::outbound::Reconciler;
use banyan_store::{Held, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Payments, look::LookDesk, refunds::RefundDesk, till::Till};

/// The group whose slots the reconciler works on.
pub const GROUP: &str = "payments.intents";

/// What is further away than the largest back-off was written by a clock that jumped: due now.
pub(crate) const DUE: &str = "select order_id from payment where slot = any($1) and next_try_at is not null \
     and (next_try_at <= $2 or next_try_at > $3) order by next_try_at limit $4";

/// Asks the gateway again for what has no outcome.
pub struct IntentReconciler(Reconciler<Till>);

impl IntentReconciler {
    /// Of these payments.
    #[must_use]
    pub fn new(payments: Arc<Payments>) -> Self {
        Self(Reconciler::new(payments.0.clone()))
    }

    /// Works on the slots held until told to stop.
    pub async fn run(self, held: watch::Receiver<BTreeMap<u16, Held>>, stop: CancellationToken) {
        self.0.run(held, stop).await;
    }

    /// Asks again for what is due in these slots. Tells for how many; the slower ones settle by themselves.
    ///
    /// # Errors
    /// As any statement.
    pub async fn turn(&self, slots: &[u16]) -> Result<usize, StoreError> {
        self.0.turn(slots).await
    }
}

/// Asks the gateway again for refunds that have no outcome.
pub struct RefundReconciler(Reconciler<RefundDesk>);

impl RefundReconciler {
    /// Of these payments.
    #[must_use]
    pub fn new(payments: &Payments) -> Self {
        Self(Reconciler::new(payments.refund_desk()))
    }

    /// Works on the slots held until told to stop.
    pub async fn run(self, held: watch::Receiver<BTreeMap<u16, Held>>, stop: CancellationToken) {
        self.0.run(held, stop).await;
    }

    /// Asks again for what is due in these slots. Tells for how many; the slower ones settle by themselves.
    ///
    /// # Errors
    /// As any statement.
    pub async fn turn(&self, slots: &[u16]) -> Result<usize, StoreError> {
        self.0.turn(slots).await
    }
}

/// Looks up what the gateway told of its own accord.
pub struct LookReconciler(Reconciler<LookDesk>);

impl LookReconciler {
    /// Of these payments.
    #[must_use]
    pub fn new(payments: &Payments) -> Self {
        Self(Reconciler::new(payments.look_desk()))
    }

    /// Works on the slots held until told to stop.
    pub async fn run(self, held: watch::Receiver<BTreeMap<u16, Held>>, stop: CancellationToken) {
        self.0.run(held, stop).await;
    }

    /// Looks up what is due in these slots. Tells for how many; the slower ones settle by themselves.
    ///
    /// # Errors
    /// As any statement.
    pub async fn turn(&self, slots: &[u16]) -> Result<usize, StoreError> {
        self.0.turn(slots).await
    }
}
