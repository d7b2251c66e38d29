//! Authorise: hold money with the customer's bank.

use banyan_kernel::{Answer, Command, Refusal};
use banyan_net::outbound::{Intent, Judged, under_way};
use payments_api::{AuthorisePayment, PaymentAuthorisedReply};

use crate::payment::{Payment, State, attempt_of};

pub(crate) fn judge(
    payment: Option<&Payment>,
    command: &Command<AuthorisePayment>,
) -> Judged<Payment, PaymentAuthorisedReply> {
    let Some(payment) = payment else { return Judged::Intend(asked_for(None, command)) };
    let attempt = attempt_of(command);
    if attempt < payment.attempt {
        return Judged::Answer(Answer::rejected(Refusal::EXPIRED, "a later attempt was made"));
    }
    let newer = attempt > payment.attempt;
    match payment.state {
        // The earlier attempt is resolved first: by its own key, or looked up where that did not help.
        State::Authorising => under_way(payment),
        State::Refused | State::Cancelled | State::Voided if newer => {
            Judged::Intend(asked_for(Some(payment), command))
        }
        State::Voiding if newer => under_way(payment),
        State::Refunding | State::Refunded if newer => Judged::Answer(Answer::Rejected(Refusal::cancelled())),
        // It finds what is held, and owns it from now on: an undo of the earlier attempt touches it no more.
        _ if newer => Judged::Record(Payment { attempt, ..payment.clone() }, answer(payment)),
        _ => Judged::Answer(answer(payment)),
    }
}

fn asked_for(before: Option<&Payment>, command: &Command<AuthorisePayment>) -> Payment {
    let before = before.cloned().unwrap_or_else(|| Payment::tombstone(command));
    Payment {
        amount: command.body.amount,
        method: command.body.method.clone(),
        state: State::Authorising,
        reference: None,
        attempt: attempt_of(command),
        asked_again: false,
        refusal: None,
        intent: Intent::default(),
        ..before
    }
}

/// The first answer, whatever happened since.
fn answer(payment: &Payment) -> Answer<PaymentAuthorisedReply> {
    match (&payment.reference, &payment.refusal) {
        (Some(reference), _) => Answer::Done(PaymentAuthorisedReply {
            reference: reference.clone(),
            asked_again: payment.asked_again,
        }),
        (None, Some(refusal)) => Answer::Rejected(refusal.clone()),
        (None, None) => Answer::Rejected(Refusal::cancelled()),
    }
}
