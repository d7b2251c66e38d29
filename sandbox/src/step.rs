//! What can be asked of the outside world, and the address by which faults are drawn.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Who is spoken to.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Party {
    /// The payment gateway.
    Gateway,
    /// The carrier.
    Carrier,
}

/// One thing that the outside world does for an order.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Create and confirm a payment intent.
    Authorise,
    /// Take the authorised money.
    Capture,
    /// Cancel a payment intent.
    Void,
    /// Give captured money back.
    Refund,
    /// Book a shipment.
    Book,
    /// Cancel a shipment.
    Cancel,
}

impl Step {
    /// Every step, in the order of the saga.
    pub const ALL: [Self; 6] =
        [Self::Authorise, Self::Capture, Self::Void, Self::Refund, Self::Book, Self::Cancel];

    /// The name in profiles, book and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Authorise => "authorise",
            Self::Capture => "capture",
            Self::Void => "void",
            Self::Refund => "refund",
            Self::Book => "book",
            Self::Cancel => "cancel",
        }
    }

    /// Who does it.
    pub const fn party(self) -> Party {
        match self {
            Self::Authorise | Self::Capture | Self::Void | Self::Refund => Party::Gateway,
            Self::Book | Self::Cancel => Party::Carrier,
        }
    }

    /// Undoing is never refused: a saga that compensates must be able to end.
    pub const fn may_be_refused(self) -> bool {
        matches!(self, Self::Authorise | Self::Capture | Self::Book)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Step {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|step| step.name() == text).ok_or(())
    }
}

/// Where a request stands: the saga's step of an order, its attempt, and the delivery of that attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Address {
    /// The shop's order.
    pub order: String,
    /// What is asked.
    pub step: Step,
    /// The saga's attempt at this step, from 1.
    pub attempt: u32,
    /// The `Banyan-Try` header: which sending of the same attempt this is, from 1.
    pub delivery: u32,
}
