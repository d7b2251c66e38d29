//! Where events come from.

use async_trait::async_trait;
use banyan_kernel::Envelope;
use banyan_store::{Page, Position, Signal, StoreError};

/// A module's public events, in commit order.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// The module.
    fn name(&self) -> &'static str;
    /// At most `limit` events of `slots` after a place, and how far they reach.
    async fn page(&self, after: Position, slots: &[u16], limit: u16) -> Result<Page, StoreError>;
    /// The last place that is complete now: where a broadcast begins.
    async fn end(&self) -> Result<Position, StoreError>;
    /// The public events of one subject after a sequence: what fills a gap.
    async fn of_subject(&self, subject: &str, after_sequence: i64) -> Result<Vec<Envelope>, StoreError>;
    /// Raised after each commit that may have told something.
    fn signal(&self) -> Signal;
}
