//! Capture: take held money. The saga's pivot.

use banyan_kernel::{Answer, Command, Refusal};
use banyan_net::outbound::{Judged, under_way};
use payments_api::{CapturePayment, PaymentCapturedReply, refusals};

use crate::payment::{Payment, State, attempt_of};

pub(crate) fn judge(
    payment: Option<&Payment>,
    command: &Command<CapturePayment>,
) -> Judged<Payment, PaymentCapturedReply> {
    let Some(payment) = payment else { return not_authorised() };
    let attempt = attempt_of(command);
    if payment.barred {
        return Judged::Answer(Answer::Rejected(Refusal::cancelled()));
    }
    if attempt < payment.capture_attempt {
        return Judged::Answer(Answer::rejected(Refusal::EXPIRED, "a later attempt was made"));
    }
    let newer = attempt > payment.capture_attempt;
    match (payment.state, &payment.refusal) {
        (State::Authorised, _) => Judged::Intend(asked_for(payment, attempt)),
        (State::CaptureRefused, _) if newer => Judged::Intend(asked_for(payment, attempt)),
        (State::CaptureRefused | State::Voiding | State::Voided, Some(refusal)) if !newer => {
            Judged::Answer(Answer::Rejected(refusal.clone()))
        }
        (State::Authorising | State::Capturing | State::Voiding, _) => under_way(payment),
        (State::Refunding | State::Refunded, _) if newer => {
            Judged::Answer(Answer::Rejected(Refusal::cancelled()))
        }
        // It finds what was taken, and owns it from now on: an undo of the earlier attempt touches it no more.
        (State::Captured, _) if newer => {
            Judged::Record(Payment { capture_attempt: attempt, ..payment.clone() }, done(payment))
        }
        (State::Captured | State::Refunding | State::Refunded, _) => Judged::Answer(done(payment)),
        _ => not_authorised(),
    }
}

fn asked_for(payment: &Payment, attempt: i32) -> Payment {
    Payment { capture_attempt: attempt, refusal: None, ..payment.intending(State::Capturing) }
}

fn done(payment: &Payment) -> Answer<PaymentCapturedReply> {
    Answer::Done(PaymentCapturedReply { asked_again: payment.capture_asked_again })
}

fn not_authorised() -> Judged<Payment, PaymentCapturedReply> {
    Judged::Answer(Answer::rejected(refusals::NOT_AUTHORISED, "no money is held"))
}
