//! What notifications tell the audit, and whoever looks after a running shop, about their own tables.

use std::collections::BTreeMap;

use async_trait::async_trait;
use banyan_kernel::{Answer, OrderId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Kind;

/// What a customer was told of one order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MailFact {
    /// Which order.
    pub order: OrderId,
    /// The kinds, in the order they were written.
    pub kinds: Vec<Kind>,
    /// The last of orders' events applied.
    pub orders_seen: i64,
}

/// Mails that wait to be sent, and that will not be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MailsDue {
    /// How many.
    pub mails: i64,
    /// Seconds since what the oldest of them tells of; 0 where none waits.
    pub oldest_s: f64,
    /// Mails that the server refused for good.
    #[serde(default)]
    pub refused: i64,
}

/// What the audit may ask, and who looks after a running shop. `Broken`: what is there cannot be read.
#[async_trait]
pub trait MailFacts: Send + Sync {
    /// What was told of orders with `after < order <= upto`, in order.
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<MailFact>>;
    /// How many mails of each kind there are, by the kind's name.
    async fn counts(&self) -> Answer<BTreeMap<String, i64>>;
    /// What waits to be sent.
    async fn due(&self) -> Answer<MailsDue>;
}
