//! Contract of payments: hold money, take it, give it back.

use async_trait::async_trait;
use banyan_kernel::{Answer, Command, Json, Line, Money, OrderId, Quantity, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

mod facts;
#[cfg(feature = "testing")]
pub mod testing;

pub use facts::{LedgerViolation, PaymentFact, PaymentFacts};

/// The module's name: its schema, its role, its events' source.
pub const NAME: &str = "payments";

/// The most that one payment may be, in minor units: eight digits, as gateways that are shaped like Stripe's take it
/// (<https://docs.stripe.com/currencies#minimum-and-maximum-charge-amounts>).
pub const AMOUNT_MINOR_MAX: i64 = 99_999_999;

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

/// Give part of what was taken back, or all that is left of it, after the order was handed over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GiveBack {
    /// The client's `Idempotency-Key`, with who sent it.
    pub key: String,
    /// How much, in minor units, more than zero; all that is left where it does not say.
    pub amount_minor: Option<i64>,
    /// For what, where it is for something: its price is the amount.
    #[serde(default)]
    pub lines: Vec<LineBack>,
    /// Why; no personal data.
    pub reason: String,
}

/// So many of a product, of those that were ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LineBack {
    /// Which product, and how many.
    pub line: Line,
    /// How many were ordered.
    pub ordered: Quantity,
}

/// Where a refund stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RefundState {
    /// The gateway was asked and has not said yet.
    Pending,
    /// It is on its way to the customer.
    Done,
    /// The gateway refused it.
    Refused,
}

/// Money given back by staff.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RefundView {
    /// Counts the order's refunds from 1.
    pub n: u32,
    /// How much.
    pub amount: Money,
    /// For what, where it was for something.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<Line>,
    /// Why.
    pub reason: String,
    /// Where it stands.
    pub state: RefundState,
    /// Who asked for it, as `role:id`.
    pub actor: String,
    /// When it was asked for; absent in the answer to the first asking.
    #[serde(with = "banyan_kernel::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub at: Option<Timestamp>,
}

/// Told when a customer disputes a payment with the bank, and whenever that stands otherwise. Public. Subject: the order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct PaymentDisputed {
    /// Whose.
    pub order: OrderId,
    /// How much.
    pub amount: Money,
    /// Why, as the gateway's code.
    pub reason: String,
    /// Where it stands, as the gateway's code.
    pub status: String,
}

/// A payment that a customer disputes with the bank.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DisputeView {
    /// The gateway's id.
    pub id: String,
    /// How much.
    pub amount: Money,
    /// Why, as the gateway's code.
    #[schema(example = "fraudulent")]
    pub reason: String,
    /// Where it stands, as the gateway's code.
    #[schema(example = "needs_response")]
    pub status: String,
    /// When it was first seen.
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub seen_at: Timestamp,
    /// When it was seen to stand so.
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
}

impl PaymentDisputed {
    /// Its name on the bus.
    pub const KIND: &'static str = "PaymentDisputed";
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
    /// Giving back what was never taken, or was given back by the saga.
    pub const NOT_CAPTURED: &str = "not_captured";
    /// Giving back more than is left of what was taken.
    pub const MORE_THAN_TAKEN: &str = "more_than_taken";
    /// Giving money back for more of a product than was ordered, refunds before this one counted.
    pub const MORE_THAN_ORDERED: &str = "more_than_ordered";
    /// The key came before with another wish.
    pub const KEY_REUSED: &str = "key_reused";
    /// What the gateway told is no event.
    pub const INVALID_EVENT: &str = "invalid_event";
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

/// What payments can do for staff.
#[async_trait]
pub trait Refunds: Send + Sync {
    /// Gives money back, one refund of an order at a time; a repeat of its key gets the first answer. `Pending`: the
    /// gateway has not said yet. The command's attempt and step are not looked at.
    /// Refusals: `not_captured`, `more_than_taken`, `more_than_ordered`, `key_reused`, the gateway's codes.
    async fn give_back(&self, batch: Vec<Command<GiveBack>>) -> Vec<Answer<RefundView>>;
    /// What of an order's payment is disputed, as the gateway said when it was looked up last.
    async fn disputes(&self, order: OrderId) -> Answer<Vec<DisputeView>>;
    /// What was given back of an order, the first first.
    async fn refunds(&self, order: OrderId) -> Answer<Vec<RefundView>>;
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Heard {
    /// A look-up is due because of it.
    Noted,
    /// It concerns no payment of this shop, is of a type that nobody waits for, or came before.
    Ignored,
}

/// What the gateway tells of its own accord.
#[async_trait]
pub trait GatewayEvents: Send + Sync {
    /// Hears an event, of which it was proved that the gateway sent it. It is a hint and no more: what it says is looked up, so
    /// that it may come twice, late, or in any order. Refusals: `invalid_event`.
    async fn hear(&self, event: Json) -> Answer<Heard>;
    /// Has every payment that was taken looked up, since the database was restored and the gateway may be ahead of it. How many.
    async fn look_at_all(&self) -> Answer<u64>;
}
