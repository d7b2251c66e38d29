//! The saga (H. Garcia-Molina, K. Salem: "Sagas", SIGMOD 1987), as a pure function of what is recorded.
//!
//! Capture is the pivot: before it a refusal or a cancel undoes what was done, in reverse; after it the saga
//! only goes forward, and a cancel before the order is handed over is a refund.

use serde::{Deserialize, Serialize};

use crate::{
    event::OrderEvent,
    order::{Order, StepState},
};

/// The saga's version that new orders get; an order finishes under the version it was placed with.
pub const VERSION: u16 = 1;

/// A step: a command to another module.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// Hold stock.
    Reserve,
    /// Hold money.
    Authorise,
    /// Make the hold on stock firm, guarded by its expiry.
    Confirm,
    /// Book a parcel.
    Book,
    /// Take the money: the pivot.
    Capture,
}

/// What an order needs next.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Ask for this step.
    Do(Step),
    /// Ask for this step to be undone.
    Undo(Step),
    /// Write this down.
    Record(OrderEvent),
    /// Nothing: it is ended, or a person must look.
    Nothing,
}

/// What `order` needs next.
#[must_use]
pub fn next(order: &Order) -> Next {
    if order.ended.is_some() || order.broken.is_some() {
        return Next::Nothing;
    }
    match &order.turned_back {
        None => {
            let step = Step::FORWARD.into_iter().find(|step| order.state(*step) != StepState::Done);
            step.map_or_else(|| Next::Record(shipped(order)), Next::Do)
        }
        Some(turned) => {
            let cancelled = OrderEvent::OrderCancelled { cause: turned.cause.clone() };
            let step = Step::BACKWARD.into_iter().find(|step| owes_undo(order, *step));
            step.map_or(Next::Record(cancelled), Next::Undo)
        }
    }
}

fn shipped(order: &Order) -> OrderEvent {
    OrderEvent::OrderShipped { tracking: order.tracking.clone() }
}

/// Whether `step` did something that must be undone, or may have: the driver runs ahead of the record up to
/// the pivot, so a cancel that came in between undoes what is not recorded as well (a tombstone, where it
/// was never done). The pivot is only ever asked for after all before it is recorded.
fn owes_undo(order: &Order, step: Step) -> bool {
    let by_request = order.turned_back.as_ref().is_some_and(|turned| turned.by_request);
    let may_be_under_way = step != Step::Capture || order.state(Step::Book) == StepState::Done;
    match order.state(step) {
        StepState::Done => true,
        StepState::Untouched => by_request && may_be_under_way,
        StepState::Refused | StepState::Undone => false,
    }
}

impl Step {
    /// In the order they are done.
    pub const FORWARD: [Self; 5] = [Self::Reserve, Self::Authorise, Self::Confirm, Self::Book, Self::Capture];
    /// In the order they are undone; a confirmation is undone with its reservation.
    pub const BACKWARD: [Self; 4] = [Self::Capture, Self::Book, Self::Authorise, Self::Reserve];

    /// Its name in command ids, events and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Authorise => "authorise",
            Self::Confirm => "confirm",
            Self::Book => "book",
            Self::Capture => "capture",
        }
    }

    /// The module that does it.
    #[must_use]
    pub fn module(self) -> &'static str {
        match self {
            Self::Reserve | Self::Confirm => inventory_api::NAME,
            Self::Authorise | Self::Capture => payments_api::NAME,
            Self::Book => shipping_api::NAME,
        }
    }

    pub(crate) fn index(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests;
