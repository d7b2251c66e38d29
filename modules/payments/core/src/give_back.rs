//! Give back: part of what was taken, or all of it, after the order was handed over. Asked for by staff, one refund of an
//! order at a time, on the same desk as every call to the outside.

use banyan_kernel::{Answer, Command, Refusal};
use banyan_net::outbound::{Intent, Judged, under_way};
use payments_api::{GiveBack, LineBack, RefundView, refusals};

use crate::{
    payment::State as Paid,
    refunds::{Refund, Refunds, State, next_of},
};

/// A client's key and wish; a repeat of the key gets the first answer.
pub(crate) fn judge(row: Option<&Refunds>, command: &Command<GiveBack>) -> Judged<Refunds, RefundView> {
    let (Some(row), wish) = (row, &command.body) else {
        return refused(refusals::NOT_CAPTURED, "no money was taken");
    };
    if let Some(known) = row.list.iter().find(|refund| refund.is_of(&wish.key)) {
        return repeat(row, known, wish);
    }
    if row.paid != Paid::Captured {
        return refused(refusals::NOT_CAPTURED, "no money is kept that could be given back");
    }
    if row.last().is_some_and(|refund| refund.state == State::Asked) {
        return under_way(row);
    }
    if let Some(LineBack { line, ordered }) = wish.lines.iter().find(|wanted| is_too_many(row, wanted)) {
        let detail =
            format!("of {} {} were ordered, refunds before this one counted", line.sku, ordered.get());
        return refused(refusals::MORE_THAN_ORDERED, detail);
    }
    let left = row.left_minor();
    let amount_minor = wish.amount_minor.unwrap_or(left);
    if left == 0 || amount_minor > left {
        return refused(refusals::MORE_THAN_TAKEN, format!("{left} minor units are left to give back"));
    }
    let mut asked = row.clone();
    asked.list.push(Refund {
        n: next_of(&row.list),
        key: wish.key.clone(),
        amount_minor,
        lines: wish.lines.iter().map(|wanted| wanted.line.clone()).collect(),
        reason: wish.reason.clone(),
        actor: command.context.actor.to_string(),
        at: None,
        state: State::Asked,
        refusal: None,
        intent: Intent::default(),
    });
    Judged::Intend(asked)
}

fn is_too_many(row: &Refunds, wanted: &LineBack) -> bool {
    let kept = row.list.iter().filter(|refund| refund.state != State::Refused);
    let lines = kept.flat_map(|refund| &refund.lines).filter(|line| line.sku == wanted.line.sku);
    let before: i64 = lines.map(|line| line.quantity.get()).sum();
    before.saturating_add(wanted.line.quantity.get()) > wanted.ordered.get()
}

fn repeat(row: &Refunds, known: &Refund, wish: &GiveBack) -> Judged<Refunds, RefundView> {
    // Of one that was found, only the amount is known.
    let same = wish.amount_minor.is_none_or(|minor| minor == known.amount_minor)
        && (known.is_found()
            || known.reason == wish.reason && wish.lines.iter().map(|wanted| &wanted.line).eq(&known.lines));
    if !same {
        return refused(refusals::KEY_REUSED, "this Idempotency-Key was used for another refund");
    }
    match (known.state, &known.refusal) {
        (State::Asked, _) => under_way(row),
        (State::Refused, Some(refusal)) => Judged::Answer(Answer::Rejected(refusal.clone())),
        _ => Judged::Answer(Answer::Done(row.view(known))),
    }
}

fn refused(code: &'static str, detail: impl Into<String>) -> Judged<Refunds, RefundView> {
    Judged::Answer(Answer::Rejected(Refusal::new(code, detail)))
}
