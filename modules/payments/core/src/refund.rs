//! Refund: give taken money back. Bars the capture where nothing was taken.

use banyan_kernel::{Answer, Command};
use banyan_net::outbound::{Judged, under_way};
use payments_api::{PaymentUndone, RefundPayment};

use crate::payment::{Payment, State, attempt_of};

const UNDONE: Answer<PaymentUndone> = Answer::Done(PaymentUndone {});

pub(crate) fn judge(
    payment: Option<&Payment>,
    command: &Command<RefundPayment>,
) -> Judged<Payment, PaymentUndone> {
    let attempt = attempt_of(command);
    let Some(payment) = payment else {
        // Only the capture is undone: an authorisation may still come, of which nothing will be taken.
        return barred(&Payment { attempt: 0, ..Payment::tombstone(command) }, attempt);
    };
    match payment.state {
        State::Refunded => Judged::Answer(UNDONE),
        // What that attempt did was settled before a later one was made.
        _ if attempt < payment.capture_attempt => Judged::Answer(UNDONE),
        State::Captured => {
            Judged::Intend(Payment { capture_attempt: attempt, ..payment.intending(State::Refunding) })
        }
        State::Capturing | State::Refunding => under_way(payment),
        _ if payment.barred => Judged::Answer(UNDONE),
        _ => barred(payment, attempt),
    }
}

fn barred(payment: &Payment, attempt: i32) -> Judged<Payment, PaymentUndone> {
    Judged::Record(Payment { barred: true, capture_attempt: attempt, ..payment.clone() }, UNDONE)
}
