//! Contract of notifications: what is told to a customer, and how they are reached.
//!
//! Whatever the shop knows of a person is a [`Contact`]; everybody else knows a `CustomerId`.

mod country;
mod facts;
#[cfg(feature = "testing")]
pub mod testing;

use async_trait::async_trait;
use banyan_kernel::{Answer, CustomerId, OrderId, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use country::COUNTRIES;
pub use facts::{MailFact, MailFacts, MailsDue};

/// The module's name: its schema, its role.
pub const NAME: &str = "notifications";

/// Most mails of one page of a mailbox.
pub const MAILS_MAX: u16 = 200;

/// What a mail is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The order was accepted.
    Confirmed,
    /// It takes longer than it should.
    Delayed,
    /// It was undone.
    Cancelled,
    /// It is on its way.
    Shipped,
    /// It arrived.
    Delivered,
    /// Money was given back.
    Refunded,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Confirmed, Self::Delayed, Self::Cancelled, Self::Shipped, Self::Delivered, Self::Refunded];

    /// Its name in rows, JSON and ids.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Delayed => "delayed",
            Self::Cancelled => "cancelled",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
            Self::Refunded => "refunded",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// In which language a customer is written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// English.
    #[default]
    En,
    /// German.
    De,
}

impl Language {
    /// Its tag (BCP 47).
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::En => "en",
            Self::De => "de",
        }
    }
}

/// Where parcels go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Address {
    /// Street and number, at most 200 characters.
    pub street: String,
    /// At most 20 characters.
    pub postcode: String,
    /// At most 100 characters.
    pub city: String,
    /// ISO 3166-1, two letters.
    #[schema(schema_with = country::schema)]
    pub country: String,
}

/// How a person is reached: all that is known of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Contact {
    /// 1 to 100 characters.
    #[schema(min_length = 1, max_length = 100)]
    pub name: String,
    /// One address (RFC 5321); its domain may be of any script, what stands before the `@` is of ASCII.
    #[schema(format = "email", max_length = 254)]
    pub email: String,
    /// In which they are written to.
    #[serde(default)]
    pub language: Language,
    /// Where parcels go.
    pub address: Address,
    /// What they do not want to be sent; their mailbox here has it all the same.
    #[serde(default)]
    pub unwanted: Vec<Kind>,
}

/// Whether a mail left the house.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Sending {
    /// It is in the mailbox here and goes nowhere else.
    Kept,
    /// It will be sent, or sent again.
    Due,
    /// The server took it.
    Sent,
    /// The server refused it for good.
    Refused,
}

/// A mail in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MailHead {
    /// `ORDER.KIND.N`.
    pub id: String,
    /// About which order.
    pub order: OrderId,
    /// About what.
    pub kind: Kind,
    /// Its subject line.
    pub subject: String,
    /// When it was written.
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub at: Timestamp,
    /// Whether it left the house.
    pub sending: Sending,
}

/// A whole mail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Mail {
    /// What a list says of it.
    #[serde(flatten)]
    pub head: MailHead,
    /// Whose mailbox it is in.
    pub customer: CustomerId,
    /// Its `Message-ID` (RFC 5322), the same however often it is sent.
    pub message_id: String,
    /// To be read as it is.
    pub text: String,
    /// To be shown by a browser; nothing in it runs, nothing is fetched.
    pub html: String,
}

/// Which mail: an order's, of a kind; `n` tells several of a kind apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MailId {
    /// About which order.
    pub order: OrderId,
    /// About what.
    pub kind: Kind,
    /// Which of them; 0 for kinds that an order has one of.
    pub n: i32,
}

impl std::fmt::Display for MailId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.order, self.kind.as_str(), self.n)
    }
}

impl MailId {
    /// From its text.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (order, kind, n) = (parts.next()?, parts.next()?, parts.next()?);
        let id = Self { order: order.parse().ok()?, kind: Kind::parse(kind)?, n: n.parse().ok()? };
        (parts.next().is_none() && id.to_string() == text).then_some(id)
    }
}

/// The refusal codes of this port.
pub mod refusals {
    /// A name, address or e-mail address that cannot be one.
    pub const INVALID_CONTACT: &str = "invalid_contact";
    /// The mailbox has not come to what the reader asks to see.
    pub const BEHIND: &str = "read_model_behind";
}

/// What a reader asks to see at least: so many mails of a kind about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Awaited {
    /// About which order.
    pub order: OrderId,
    /// About what.
    pub kind: Kind,
    /// How many of that kind.
    pub mails: i32,
}

/// What notifications can do for others.
#[async_trait]
pub trait Notifications: Send + Sync {
    /// How a customer is reached; nothing for who never said, or was forgotten.
    async fn contact(&self, customer: CustomerId) -> Answer<Option<Contact>>;
    /// Says how a customer is reached. Refusal: `invalid_contact`.
    async fn put_contact(&self, customer: CustomerId, contact: Contact) -> Answer<Contact>;
    /// Forgets a person: what was known of them is gone. Their mails stay, addressed to nobody. True when something was
    /// known; once more changes nothing.
    async fn forget(&self, customer: CustomerId) -> Answer<bool>;
    /// A customer's mails, the newest first, strictly older than this one of this time; at most `limit`, up to [`MAILS_MAX`]. What is
    /// told by the bus is waited for, for a bounded time, where the reader asks to see it. Refusal: `read_model_behind`.
    async fn mailbox(
        &self,
        customer: CustomerId,
        before: Option<(Timestamp, MailId)>,
        limit: u16,
        at_least: Vec<Awaited>,
    ) -> Answer<Vec<MailHead>>;
    /// One mail; nothing where there is none. Waits, and refuses, as [`Self::mailbox`] does.
    async fn mail(&self, id: MailId, at_least: Vec<Awaited>) -> Answer<Option<Mail>>;
    /// Has mails sent again that the server refused for good, and says how many; once more finds none.
    async fn retry_refused(&self) -> Answer<u64>;
}
