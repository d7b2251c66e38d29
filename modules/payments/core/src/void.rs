//! Void: let held money go. Leaves a tombstone where nothing was held.

use banyan_kernel::{Answer, Command};
use banyan_net::outbound::{Judged, under_way};
use payments_api::{PaymentUndone, VoidPayment};

use crate::payment::{Payment, State, attempt_of};

const UNDONE: Answer<PaymentUndone> = Answer::Done(PaymentUndone {});

pub(crate) fn judge(
    payment: Option<&Payment>,
    command: &Command<VoidPayment>,
) -> Judged<Payment, PaymentUndone> {
    let Some(payment) = payment else { return Judged::Record(Payment::tombstone(command), UNDONE) };
    let attempt = attempt_of(command);
    if attempt < payment.attempt {
        // What that attempt did was settled before a later one was made.
        return Judged::Answer(UNDONE);
    }
    match payment.state {
        State::Refused | State::Cancelled | State::Voided if attempt > payment.attempt => {
            let tombstone = Payment {
                state: State::Cancelled,
                attempt,
                reference: None,
                refusal: None,
                ..payment.clone()
            };
            Judged::Record(tombstone, UNDONE)
        }
        State::Refused | State::Cancelled | State::Voided | State::Refunded => Judged::Answer(UNDONE),
        State::Authorised | State::CaptureRefused => {
            Judged::Intend(Payment { attempt, ..payment.intending(State::Voiding) })
        }
        State::Authorising | State::Capturing | State::Voiding => under_way(payment),
        State::Captured | State::Refunding => {
            Judged::Answer(Answer::rejected("captured", "the money was taken; refund it"))
        }
    }
}
