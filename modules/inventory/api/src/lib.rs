//! Contract of inventory: how much there is, and for whom it is kept.

use async_trait::async_trait;
use banyan_kernel::{Answer, Command, Context, Line, OrderId, Place, Places, Sku, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

mod facts;
#[cfg(feature = "testing")]
pub mod testing;

pub use facts::{ReservationFact, ReservationState, StockFacts, StockViolation};

/// The module's name: its schema, its role, its events' source.
pub const NAME: &str = "inventory";

/// Keep stock for an order until `expires_at`: all lines or none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReserveStock {
    /// Each SKU once.
    pub lines: Vec<Line>,
    /// When a hold that was not confirmed ends.
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// How many public events orders had told of this order when it asked: the reservation has seen
    /// them, so the next one it hears must be the one after.
    pub orders_sequence: i64,
}

/// Reply to [`ReserveStock`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct StockReserved {
    /// When the hold ends, if not confirmed.
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Timestamp,
    /// Where it stands, as it did when it was reserved: what stands at two places cannot leave in one parcel.
    #[serde(default, skip_serializing_if = "Places::is_empty")]
    pub places: Places,
}

/// Make a held reservation firm: it no longer expires. Guarded by its expiry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ConfirmReservation {}

/// Reply to [`ConfirmReservation`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReservationConfirmed {}

/// Give the order's stock back. Undoes [`ReserveStock`] (and its confirmation), done or not yet seen:
/// then it leaves a tombstone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReleaseStock {
    /// Why, as a code.
    pub reason: String,
}

/// Reply to [`ReleaseStock`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StockReleased {}

/// Goods came in. The key makes a repeat harmless.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiveStock {
    /// The `Idempotency-Key` of the delivery, with who sent it.
    pub key: String,
    /// What came, each SKU once, at most [`RECEIPT_LINES_MAX`].
    pub lines: Vec<Line>,
    /// Where it was put. A product stands at one place: nothing said is where it stands already, and another place is taken only
    /// where nothing of it is left.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
}

/// Most lines of one receipt.
pub const RECEIPT_LINES_MAX: usize = 200;

/// Reply to [`ReceiveStock`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StockReceived {
    /// Whether this very receipt had been booked before.
    pub repeated: bool,
    /// Where what was told of it stands.
    #[serde(default)]
    pub told: Told,
}

/// Where something that was told stands among all that is told: who is told the public count may ask to be told at least that.
/// The default is before everything.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Told {
    /// In which slot.
    pub slot: i16,
    /// In which incarnation of the database.
    pub epoch: i64,
    /// By which transaction of it.
    pub xid: i64,
}

/// How much there is of a product. `on_hand + reserved + shipped = received - adjusted`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StockLevel {
    /// Which product.
    pub sku: Sku,
    /// Free to be sold.
    pub on_hand: i64,
    /// Kept for orders under way.
    pub reserved: i64,
    /// Gone to customers.
    pub shipped: i64,
    /// Ever received.
    pub received: i64,
    /// Written off.
    pub adjusted: i64,
    /// Where it stands.
    #[serde(default)]
    pub place: Place,
}

impl StockLevel {
    /// Of what never came in.
    #[must_use]
    pub fn none(sku: Sku) -> Self {
        Self { sku, on_hand: 0, reserved: 0, shipped: 0, received: 0, adjusted: 0, place: Place::default() }
    }
}

/// Told when stock is kept for an order. Public. Subject: the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InventoryReserved {
    /// For whom.
    pub order: OrderId,
    /// What.
    pub lines: Vec<Line>,
}

/// Told when an order's stock is free again. Public. Subject: the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InventoryReleased {
    /// Of whom.
    pub order: OrderId,
    /// What.
    pub lines: Vec<Line>,
    /// Why, as a code: `expired`, `cancelled`, `card_declined`.
    pub reason: String,
}

/// So many more or less of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StockChange {
    /// Which product.
    pub sku: Sku,
    /// More above nought, less below.
    pub quantity: i64,
}

/// Told when a delivery was booked. Public. Subject: the receipt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GoodsReceived {
    /// What came.
    pub lines: Vec<StockChange>,
}

/// Told when staff found more or less than the books said. Public. Subject: the adjustment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StockAdjusted {
    /// What was found (above nought) or missing (below).
    pub lines: Vec<StockChange>,
    /// Why.
    pub reason: String,
}

impl GoodsReceived {
    /// Its name on the bus.
    pub const KIND: &'static str = "GoodsReceived";
}

impl StockAdjusted {
    /// Its name on the bus.
    pub const KIND: &'static str = "StockAdjusted";
}

/// What staff found when they looked at a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// So many more, or fewer, than the books say.
    By(i64),
    /// So many on the shelf, those kept for orders included.
    Counted(i64),
}

/// Make the books say what was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AdjustStock {
    /// The `Idempotency-Key` of the finding, with who sent it.
    pub key: String,
    /// Of which product.
    pub sku: Sku,
    /// What was found.
    pub finding: Finding,
    /// Why; no personal data.
    pub reason: String,
}

/// Reply to [`AdjustStock`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Adjusted {
    /// By how much what is free changed.
    pub quantity: i64,
    /// Whether this very finding had been booked before.
    pub repeated: bool,
    /// Where what was told of it stands.
    #[serde(default)]
    pub told: Told,
}

/// What the public is told of a product's stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Availability {
    /// Which product.
    pub sku: Sku,
    /// How many could be bought.
    pub available: i64,
    /// The time of the last movement that this count has in it: it is a read model, and may be behind. Absent of what never came in.
    #[serde(default, with = "banyan_kernel::rfc3339::option", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime, nullable = false)]
    pub as_of: Option<Timestamp>,
}

/// One movement of a product's free stock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StockMovement {
    /// Where it stands among all of them; what a page goes on from.
    #[serde(skip)]
    pub place: [i64; 3],
    /// When.
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// What: an event's name.
    pub what: String,
    /// How much more, or less, was free after it.
    pub quantity: i64,
    /// The order, receipt or adjustment.
    pub of: String,
    /// Why, where it was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who, as `role:id`.
    pub actor: String,
    /// The trace id.
    pub correlation: String,
}

impl InventoryReserved {
    /// Its name on the bus.
    pub const KIND: &'static str = "InventoryReserved";
}

impl InventoryReleased {
    /// Its name on the bus.
    pub const KIND: &'static str = "InventoryReleased";
}

/// The refusal codes of this port.
pub mod refusals {
    /// Not enough of at least one line.
    pub const OUT_OF_STOCK: &str = "out_of_stock";
    /// The hold ended before it was confirmed.
    pub const RESERVATION_EXPIRED: &str = "reservation_expired";
    /// Confirming what was never reserved.
    pub const NOT_RESERVED: &str = "not_reserved";
    /// Releasing what has been shipped.
    pub const ALREADY_SHIPPED: &str = "already_shipped";
    /// A product that was never received.
    pub const UNKNOWN_PRODUCT: &str = "unknown_product";
    /// Fewer would be free than nothing: some are kept for orders.
    pub const BELOW_ZERO: &str = "below_zero";
    /// Received at one place while some of it is left at another.
    pub const STANDS_ELSEWHERE: &str = "stands_elsewhere";
    /// The public count has not come to what is asked for.
    pub const BEHIND: &str = "read_model_behind";
    /// The key came before with other lines, or another finding.
    pub const KEY_REUSED: &str = "key_reused";
}

/// What inventory can do for others. Batches answer in the order asked, in constant statements and one
/// commit; a repeat of an id gets the first answer.
#[async_trait]
pub trait Inventory: Send + Sync {
    /// Holds stock. Refusals: `out_of_stock`, `cancelled`.
    async fn reserve(&self, batch: Vec<Command<ReserveStock>>) -> Vec<Answer<StockReserved>>;
    /// Makes holds firm. Refusals: `reservation_expired`, `not_reserved`, `cancelled`.
    async fn confirm(&self, batch: Vec<Command<ConfirmReservation>>) -> Vec<Answer<ReservationConfirmed>>;
    /// Gives stock back; the command's id is the id of the [`ReserveStock`] that it undoes.
    /// Refusal: `already_shipped`.
    async fn release(&self, batch: Vec<Command<ReleaseStock>>) -> Vec<Answer<StockReleased>>;
    /// Books what came in. Refusals: `key_reused`, `stands_elsewhere`.
    async fn receive(&self, context: Context, batch: Vec<ReceiveStock>) -> Vec<Answer<StockReceived>>;
    /// The levels of these products; one never received is not in the answer.
    async fn levels(&self, skus: Vec<Sku>) -> Answer<Vec<StockLevel>>;
}

/// What inventory can do for staff and for the public.
#[async_trait]
pub trait StockKeeping: Send + Sync {
    /// Books what was found. Refusals: `unknown_product`, `below_zero`, `key_reused`.
    async fn adjust(&self, context: Context, wish: AdjustStock) -> Answer<Adjusted>;
    /// The movements of a product's free stock, the newest first, strictly before a place; at most `limit`, up to 200.
    async fn movements(&self, sku: Sku, before: Option<[i64; 3]>, limit: u16) -> Answer<Vec<StockMovement>>;
    /// What the public is told of these products, once it is told at least this, which is waited for up to two seconds; one never
    /// received is not in the answer. Refusal: `read_model_behind`.
    async fn availability(&self, skus: Vec<Sku>, at_least: Vec<Told>) -> Answer<Vec<Availability>>;
}
