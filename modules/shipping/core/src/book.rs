//! Book: have an order's parcels fetched.

use banyan_kernel::{Answer, Command, Refusal};
use banyan_net::outbound::{Intent, Judged, under_way};
use shipping_api::{BookShipment, ShipmentBookedReply};

use crate::{
    parcel::Parcel,
    shipment::{Shipment, State, attempt_of},
};

pub(crate) fn judge(
    shipment: Option<&Shipment>,
    command: &Command<BookShipment>,
) -> Judged<Shipment, ShipmentBookedReply> {
    if command.body.parcels.is_empty() {
        return Judged::Answer(Answer::Broken("a shipment has at least one parcel".to_owned()));
    }
    let Some(shipment) = shipment else { return Judged::Intend(asked_for(None, command)) };
    let attempt = attempt_of(command);
    if attempt < shipment.attempt {
        return Judged::Answer(Answer::rejected(Refusal::EXPIRED, "a later attempt was made"));
    }
    let newer = attempt > shipment.attempt;
    match shipment.state {
        // The earlier attempt is resolved first: by its own key, or looked up where that did not help.
        State::Booking => under_way(shipment),
        State::Cancelling if newer => under_way(shipment),
        State::Refused | State::Cancelled if newer => Judged::Intend(asked_for(Some(shipment), command)),
        // It finds what is booked, and owns it from now on: an undo of the earlier attempt touches it no more.
        State::Booked | State::Dispatched if newer => {
            Judged::Record(Shipment { attempt, ..shipment.clone() }, answer(shipment))
        }
        _ => Judged::Answer(answer(shipment)),
    }
}

fn asked_for(before: Option<&Shipment>, command: &Command<BookShipment>) -> Shipment {
    let before = before.cloned().unwrap_or_else(|| Shipment::tombstone(command));
    Shipment {
        customer: Some(command.body.customer),
        parcels: command.body.parcels.iter().map(Parcel::wanted).collect(),
        state: State::Booking,
        booking: None,
        attempt: attempt_of(command),
        asked_again: false,
        orders_seen: before.orders_seen.max(Some(command.body.orders_sequence)),
        refusal: None,
        reason: None,
        intent: Intent::default(),
        ..before
    }
}

/// The first answer, whatever happened since.
fn answer(shipment: &Shipment) -> Answer<ShipmentBookedReply> {
    match (&shipment.booking, &shipment.refusal) {
        (Some(_), _) => Answer::Done(ShipmentBookedReply {
            tracking: shipment.tracking(),
            asked_again: shipment.asked_again,
        }),
        (None, Some(refusal)) => Answer::Rejected(refusal.clone()),
        (None, None) => Answer::Rejected(Refusal::cancelled()),
    }
}
