//! Contract of wishlist: what customers keep in mind.

use async_trait::async_trait;
use banyan_kernel::{Answer, CustomerId, Sku};

/// The module's name: its schema, its role, its events' source.
pub const NAME: &str = "wishlist";

/// What wishlist can do for others.
#[async_trait]
pub trait Wishlist: Send + Sync {
    /// Keeps a product in mind; again changes nothing.
    async fn keep(&self, customer: CustomerId, sku: Sku) -> Answer<()>;
    /// What a customer keeps in mind, in SKU order, at most 1,000.
    async fn kept(&self, customer: CustomerId) -> Answer<Vec<Sku>>;
}
