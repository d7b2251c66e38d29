//! A parcel of a shipment, and how a row keeps those behind the first.

use banyan_kernel::{Place, Timestamp};
use serde::{Deserialize, Serialize};
use shipping_api::WantedParcel;

/// How a parcel's way ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Arrival {
    Delivered,
    Returned,
}

impl Arrival {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Returned => "returned",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Delivered, Self::Returned].into_iter().find(|arrival| arrival.as_str() == text)
    }
}

/// What leaves together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Parcel {
    /// Where it is packed.
    pub(crate) place: Place,
    /// How many pieces are in it.
    pub(crate) items: i64,
    /// What the customer follows it by; none before the carrier answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tracking: Option<String>,
    /// Where its way ended. Only tracking writes it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) arrival: Option<Arrival>,
    /// When it did.
    #[serde(with = "banyan_kernel::rfc3339::option", default, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<Timestamp>,
}

impl Parcel {
    /// Of which nothing was asked of the carrier.
    pub(crate) fn wanted(wanted: &WantedParcel) -> Self {
        Self {
            place: wanted.place.clone(),
            items: wanted.lines.iter().map(|line| line.quantity.get()).sum(),
            tracking: None,
            arrival: None,
            at: None,
        }
    }
}

/// As rows keep those behind the first; a list of plain data always has a JSON form.
pub(crate) fn further(parcels: &[Parcel]) -> Option<String> {
    let further = parcels.get(1..).filter(|further| !further.is_empty())?;
    Some(serde_json::to_string(further).unwrap_or_default())
}
