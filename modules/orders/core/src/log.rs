//! Where orders are kept, as the driver sees it: PostgreSQL, or memory in simulation.

use std::collections::HashSet;

use async_trait::async_trait;
use banyan_kernel::{OrderId, Timestamp};
use banyan_store::StoreError;

use crate::order::Order;
pub use crate::order::Recorded;

/// An order with what its row says beside the events.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The fold of its events.
    pub order: Order,
    /// How often its step was asked without an answer.
    pub asked: u32,
    /// What the step said last.
    pub waiting: Option<String>,
    /// When it is looked at next.
    pub due_at: Option<Timestamp>,
}

/// What is to be kept of one order: new events after `expected`, or none; and when to look again.
#[derive(Clone, Debug)]
pub struct Save {
    /// The order after the events.
    pub order: Order,
    /// Its version before them.
    pub expected: i64,
    /// The new ones.
    pub events: Vec<Recorded>,
    /// When it is due next; `None`: not by itself.
    pub due_at: Option<Timestamp>,
    /// How often its step was asked without an answer.
    pub asked: u32,
    /// What the step said last.
    pub waiting: Option<String>,
}

/// What became of a [`Save`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kept {
    /// It is in the log.
    Kept,
    /// Nothing of it: the stream has moved on.
    Outrun,
    /// Nothing of it, nor ever, as it is: the log says why.
    Refused(String),
}

/// The store of orders.
#[async_trait]
pub trait OrderLog: Send + Sync + 'static {
    /// Open orders of these slots that are due at `now`, the oldest first; none of `except`. What was begun is older than what was not:
    /// it is finished first, while its stock is held, and not asked again after all that came in meanwhile.
    async fn due(
        &self,
        slots: &[u16],
        now: Timestamp,
        except: &HashSet<OrderId>,
        limit: u16,
    ) -> Result<Vec<OrderId>, StoreError>;

    /// Orders by their events, chain verified; one whose chain is broken is left out and logged.
    async fn load(&self, orders: &[OrderId]) -> Result<Vec<Loaded>, StoreError>;

    /// Keeps a batch in one commit; one that is refused does not keep the others from it.
    async fn save(&self, batch: &[Save]) -> Result<Vec<Kept>, StoreError>;

    /// Leaves orders that can be neither read nor kept alone until then; their streams stay as they are.
    async fn put_off(&self, orders: &[OrderId], until: Timestamp, why: &str) -> Result<(), StoreError>;
}
