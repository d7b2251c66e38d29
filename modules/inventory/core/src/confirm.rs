//! Confirm: a hold becomes firm, if it has not expired.

use banyan_kernel::{Answer, Command, Refusal};
use inventory_api::{ConfirmReservation, ReservationConfirmed, ReservationState, refusals};

use crate::{desk::Desk, expire::EXPIRED, reservation::Reservation};

/// Whichever attempt reserved it: an order has one reservation. An expired hold is released on the spot.
pub(crate) fn decide(desk: &mut Desk, command: &Command<ConfirmReservation>) -> Answer<ReservationConfirmed> {
    let (order, now) = (command.id.order, desk.now);
    let Some(row) = desk.row_mut(order) else { return not_reserved() };
    match row.state {
        ReservationState::Held if row.expires_at > now => {
            row.state = ReservationState::Committed;
            Answer::Done(ReservationConfirmed {})
        }
        ReservationState::Held => {
            desk.give_back(order, EXPIRED, (&command.id.to_string(), &command.context));
            expired()
        }
        ReservationState::Committed | ReservationState::Shipped => Answer::Done(ReservationConfirmed {}),
        ReservationState::Refused => not_reserved(),
        ReservationState::Released | ReservationState::Cancelled => over(row),
    }
}

fn over(row: &Reservation) -> Answer<ReservationConfirmed> {
    if row.reason.as_deref() == Some(EXPIRED) { expired() } else { Answer::Rejected(Refusal::cancelled()) }
}

fn not_reserved() -> Answer<ReservationConfirmed> {
    Answer::rejected(refusals::NOT_RESERVED, "no stock is kept for this order")
}

fn expired() -> Answer<ReservationConfirmed> {
    Answer::rejected(refusals::RESERVATION_EXPIRED, "the hold ended before it was confirmed")
}
