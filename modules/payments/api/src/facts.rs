//! What payments tell the audit about their own tables. No other module asks for it.

use std::fmt;

use async_trait::async_trait;
use banyan_kernel::{Answer, Money, OrderId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// One payment, and what its ledger entries add up to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentFact {
    /// Whose.
    pub order: OrderId,
    /// Where it stands: `authorised`, `captured`, `refunded`, ...; what ends in -ing has a call under way.
    pub state: String,
    /// How much it is about.
    pub amount: Money,
    /// The gateway's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// Held with the customer's bank, by the entries.
    pub held_minor: i64,
    /// Taken, by the entries.
    pub captured_minor: i64,
    /// Given back, by the entries.
    pub refunded_minor: i64,
    /// Given back by staff, by the refunds themselves.
    pub given_back_minor: i64,
    /// What its entries are in: one, or none where nothing moved.
    pub currencies: Vec<String>,
    /// Counts the events told.
    pub version: i64,
}

/// A payment whose entries and state disagree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LedgerViolation {
    /// Whose.
    pub order: OrderId,
    /// The payment's state; `missing` where entries belong to no payment.
    pub state: String,
    /// What the entries say is held, in minor units.
    pub held_minor: i64,
    /// What the state says.
    pub held_expected_minor: i64,
    /// What the entries say is in the till.
    pub cash_minor: i64,
    /// What the state says.
    pub cash_expected_minor: i64,
}

/// What the audit may ask. `Broken`: what is there cannot be read.
#[async_trait]
pub trait PaymentFacts: Send + Sync {
    /// The payments of orders with `after < order <= upto`, in order.
    async fn facts(&self, after: OrderId, upto: OrderId) -> Answer<Vec<PaymentFact>>;
    /// Payments whose entries and state disagree, at most 1,000.
    async fn violations(&self) -> Answer<Vec<LedgerViolation>>;
}

impl fmt::Display for PaymentFact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { state, held_minor, captured_minor, refunded_minor, .. } = self;
        write!(
            f,
            "{state}: by its ledger {held_minor} held, {captured_minor} taken, {refunded_minor} given back"
        )
    }
}

impl fmt::Display for LedgerViolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { order, state, held_minor, held_expected_minor, cash_minor, cash_expected_minor } = self;
        write!(f, "{order}: its payment is {state}; by the ledger {held_minor} is held and should be ")?;
        write!(f, "{held_expected_minor}, {cash_minor} is in the till and should be {cash_expected_minor}")
    }
}
