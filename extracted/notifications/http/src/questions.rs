//! What is asked.

use banyan_kernel::{CustomerId, OrderId, Timestamp};
use notifications_api::{Awaited, Contact, MailId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// About a customer.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct OfCustomer {
    pub(crate) customer: CustomerId,
}

/// How a customer is reached from now on.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Reached {
    pub(crate) customer: CustomerId,
    pub(crate) contact: Contact,
}

/// A page of a mailbox.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Mailbox {
    pub(crate) customer: CustomerId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Place>,
    pub(crate) limit: u16,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) at_least: Vec<Awaited>,
}

/// Where a mail stands among all.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Place {
    #[serde(with = "banyan_kernel::rfc3339")]
    #[schema(value_type = String, format = DateTime)]
    pub(crate) at: Timestamp,
    pub(crate) id: MailId,
}

/// About a mail.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct OfMail {
    pub(crate) id: MailId,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) at_least: Vec<Awaited>,
}

/// About everything.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Nothing {}

/// Orders with `after < order <= upto`.
#[derive(Serialize, Deserialize, ToSchema)]
pub(crate) struct Facts {
    pub(crate) after: OrderId,
    pub(crate) upto: OrderId,
}
