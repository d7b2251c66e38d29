//! Where events come from.

use async_trait::async_trait;
use banyan_kernel::Envelope;
use banyan_store::{Held, Page, Position, Signal, StoreError};

/// A module's public events, in commit order.
#[async_trait]
pub trait Source: Send + Sync + 'static {
    /// The module.
    fn name(&self) -> &'static str;
    /// At most `limit` events of `slots` after a place, and how far they reach.
    async fn page(&self, after: Position, slots: &[u16], limit: u16) -> Result<Page, StoreError>;
    /// What a group applies next: at most `limit` events of slots in hand, which all stand at the same place.
    async fn next(&self, held: &[Held], limit: u16) -> Result<Page, StoreError> {
        let slots: Vec<u16> = held.iter().map(|held| held.slot).collect();
        self.page(held.first().map_or(Position::START, |held| held.position), &slots, limit).await
    }
    /// Whether its slots have no order among each other, as a carrier's partitions: then [`Self::next`] is asked for slots that
    /// stand anywhere, each goes on from its own last event, and a page's end says nothing.
    fn is_apart(&self) -> bool {
        false
    }
    /// Of slots that are apart those that stand further than their last event: their carrier says that nothing came in between.
    fn passed(&self, _held: &[Held]) -> Vec<Held> {
        Vec::new()
    }
    /// The last place that is complete now: where a broadcast begins.
    async fn end(&self) -> Result<Position, StoreError>;
    /// The public events of one subject after a sequence: what fills a gap.
    async fn of_subject(&self, subject: &str, after_sequence: i64) -> Result<Vec<Envelope>, StoreError>;
    /// Raised after each commit that may have told something.
    fn signal(&self) -> Signal;
}
