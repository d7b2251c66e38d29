//! Cancel: give a booking up. Leaves a tombstone where nothing was booked.

use banyan_kernel::{Answer, Command};
use banyan_net::outbound::{Intent, Judged, under_way};
use shipping_api::{CancelShipment, ShipmentCancelledReply, refusals};

use crate::shipment::{Shipment, State, attempt_of};

const UNDONE: Answer<ShipmentCancelledReply> = Answer::Done(ShipmentCancelledReply {});

pub(crate) fn judge(
    shipment: Option<&Shipment>,
    command: &Command<CancelShipment>,
) -> Judged<Shipment, ShipmentCancelledReply> {
    let reason = Some(command.body.reason.clone());
    let Some(shipment) = shipment else {
        return Judged::Record(Shipment { reason, ..Shipment::tombstone(command) }, UNDONE);
    };
    let attempt = attempt_of(command);
    if attempt < shipment.attempt {
        // What that attempt did was settled before a later one was made.
        return Judged::Answer(UNDONE);
    }
    match shipment.state {
        State::Refused | State::Cancelled if attempt > shipment.attempt => {
            let state = State::Cancelled;
            let tombstone = Shipment {
                state,
                attempt,
                booking: None,
                parcels: Vec::new(),
                refusal: None,
                reason,
                ..shipment.clone()
            };
            Judged::Record(tombstone, UNDONE)
        }
        State::Refused | State::Cancelled => Judged::Answer(UNDONE),
        State::Booked => Judged::Intend(Shipment {
            state: State::Cancelling,
            attempt,
            intent: Intent::default(),
            reason,
            ..shipment.clone()
        }),
        State::Booking | State::Cancelling => under_way(shipment),
        State::Dispatched => {
            Judged::Answer(Answer::rejected(refusals::ALREADY_SHIPPED, "the parcel has left the house"))
        }
    }
}
