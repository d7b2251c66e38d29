//! Contract of payments: hold money, take it, give it back.

use async_trait::async_trait;
use banyan_kernel::{Answer, Command, Money, OrderId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[cfg(feature = "testing")]
pub mod testing;

/// The module's name: its schema, its role, its events' source.
pub const NAME: &str = "payments";

/// Hold the money with the customer's bank. One payment per order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AuthorisePayment {
    /// How much, more than zero.
    pub amount: Money,
    /// The gateway's name for the customer's card; never a card number.
    pub method: String,
}

/// Reply to [`AuthorisePayment`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentAuthorisedReply {
    /// The gateway's id of the payment.
    pub reference: String,
    /// Whether the answer had to be asked for again, since the first was lost, late or broken.
    pub asked_again: bool,
}

/// Take the held money: the saga's pivot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CapturePayment {}

/// Reply to [`CapturePayment`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentCapturedReply {
    /// Whether the answer had to be asked for again.
    pub asked_again: bool,
}

/// Let held money go: undoes [`AuthorisePayment`]. Leaves a tombstone where nothing was held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct VoidPayment {
    /// Why, as a code.
    pub reason: String,
}

/// Give taken money back: undoes [`CapturePayment`]. Where nothing was taken yet it leaves a tombstone:
/// a later capture is refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RefundPayment {
    /// Why, as a code.
    pub reason: String,
}

/// Reply to [`VoidPayment`] and [`RefundPayment`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PaymentUndone {}

/// Told when money is held. Public. Subject: the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PaymentAuthorised {
    /// Whose.
    pub order: OrderId,
    /// How much.
    pub amount: Money,
}

/// Told when held money was let go. Public. Subject: the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PaymentVoided {
    /// Whose.
    pub order: OrderId,
    /// How much.
    pub amount: Money,
}

/// Told when money was taken. Public. Subject: the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PaymentCaptured {
    /// Whose.
    pub order: OrderId,
    /// How much.
    pub amount: Money,
}

/// Told when taken money was given back. Public. Subject: the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PaymentRefunded {
    /// Whose.
    pub order: OrderId,
    /// How much.
    pub amount: Money,
}

impl PaymentAuthorised {
    /// Its name on the bus.
    pub const KIND: &'static str = "PaymentAuthorised";
}
impl PaymentVoided {
    /// Its name on the bus.
    pub const KIND: &'static str = "PaymentVoided";
}
impl PaymentCaptured {
    /// Its name on the bus.
    pub const KIND: &'static str = "PaymentCaptured";
}
impl PaymentRefunded {
    /// Its name on the bus.
    pub const KIND: &'static str = "PaymentRefunded";
}

/// The refusal codes of this port, beside the gateway's own (`card_declined`, `insufficient_funds`, ...).
pub mod refusals {
    /// Capturing what was never authorised.
    pub const NOT_AUTHORISED: &str = "not_authorised";
}

/// What payments can do for others. Batches answer in the order asked; a repeat of an id gets the first
/// answer; no call to the gateway is made inside a transaction.
#[async_trait]
pub trait Payments: Send + Sync {
    /// Holds money. Refusals: the gateway's decline codes, `cancelled`.
    async fn authorise(&self, batch: Vec<Command<AuthorisePayment>>) -> Vec<Answer<PaymentAuthorisedReply>>;
    /// Takes held money. Refusals: the gateway's decline codes, `not_authorised`, `cancelled`.
    async fn capture(&self, batch: Vec<Command<CapturePayment>>) -> Vec<Answer<PaymentCapturedReply>>;
    /// Lets held money go; the command's id is the id of the [`AuthorisePayment`] that it undoes.
    async fn void(&self, batch: Vec<Command<VoidPayment>>) -> Vec<Answer<PaymentUndone>>;
    /// Gives taken money back; the command's id is the id of the [`CapturePayment`] that it undoes.
    async fn refund(&self, batch: Vec<Command<RefundPayment>>) -> Vec<Answer<PaymentUndone>>;
}
