//! Release: the undo of a reservation, seen or not.

use std::cmp::Ordering;

use banyan_kernel::{Answer, Command};
use inventory_api::{ReleaseStock, ReservationState, StockReleased, refusals};

use crate::{
    desk::Desk,
    reservation::{Lines, Reservation},
};

/// The command's id is that of the reservation it undoes.
pub(crate) fn decide(desk: &mut Desk, command: &Command<ReleaseStock>) -> Answer<StockReleased> {
    let (order, reason) = (command.id.order, &command.body.reason);
    let Some(row) = desk.row(order) else {
        desk.put(order, tombstone(desk, command));
        return Answer::Done(StockReleased {});
    };
    let (state, age) = (row.state, row.attempt.cmp(&command.id.attempt));
    if age == Ordering::Greater {
        return Answer::Done(StockReleased {});
    }
    if state == ReservationState::Shipped {
        return Answer::rejected(refusals::ALREADY_SHIPPED, "the goods have left");
    }
    if state.has_stock() {
        desk.give_back(order, reason, (&command.id.to_string(), &command.context));
    }
    // The do of this attempt has not come; when it does, it must find that it was undone.
    if age == Ordering::Less {
        desk.put(order, tombstone(desk, command));
    }
    Answer::Done(StockReleased {})
}

/// What a do finds that comes after its undo.
fn tombstone(desk: &Desk, command: &Command<ReleaseStock>) -> Reservation {
    let earlier = desk.row(command.id.order);
    Reservation {
        attempt: command.id.attempt,
        state: ReservationState::Cancelled,
        lines: Lines::new(),
        places: None,
        expires_at: desk.now,
        reason: Some(command.body.reason.clone()),
        detail: None,
        version: earlier.map_or(0, |row| row.version),
        orders_seen: earlier.map_or(0, |row| row.orders_seen),
        traceparent: None,
    }
}
