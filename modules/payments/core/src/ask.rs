//! Intent, call, outcome: how each command goes.

use std::collections::HashMap;

use async_trait::async_trait;
use banyan_kernel::{Answer, Command, Context, OrderId};
use banyan_net::outbound::{Outcome, Outside, Room, perform, uncancelled};
use banyan_store::StoreError;

use crate::{
    Payments,
    ledger::Movement,
    payment::{Payment, State},
    write::Decision,
};

/// What a command means for a payment as it stands.
pub(crate) enum Judged<R> {
    /// Nothing changes.
    Answer(Answer<R>),
    /// The payment changes, and nobody outside needs to be asked.
    Record(Payment, Answer<R>),
    /// The payment from now on, with a call to be made.
    Intend(Payment),
}

/// What a command waits for whose order has a call under way: nothing, unless it cannot be told what became of
/// that call; then it is looked up.
pub(crate) fn under_way<R>(payment: &Payment) -> Judged<R> {
    if payment.intent.broken.is_none() {
        return Judged::Answer(Answer::Pending);
    }
    Judged::Intend(Payment { intent: payment.intent.looked_up_first(), ..payment.clone() })
}

/// A call whose intent is committed.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) payment: Payment,
    pub(crate) context: Context,
}

/// A payment after a call's outcome was committed.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    payment: Payment,
    /// Why somebody must look.
    trouble: Option<String>,
}

type Judge<B, R> = fn(Option<&Payment>, &Command<B>) -> Judged<R>;

impl Payments {
    /// Runs to its end, even where the caller goes away.
    pub(crate) async fn ask<B, R>(&self, batch: Vec<Command<B>>, judge: Judge<B, R>) -> Vec<Answer<R>>
    where
        B: Clone + Send + Sync + 'static,
        R: Clone + Send + 'static,
    {
        let (me, items) = (self.clone(), batch.len());
        let died = || vec![Answer::Unavailable("the batch died; ask again".to_owned()); items];
        uncancelled(async move { me.ask_all(batch, judge).await }).await.unwrap_or_else(died)
    }

    async fn ask_all<B, R>(&self, batch: Vec<Command<B>>, judge: Judge<B, R>) -> Vec<Answer<R>>
    where
        B: Clone + Send + Sync,
        R: Send,
    {
        let closed = self.gateway.room() == Room::Shut;
        let first = self.write(batch.clone(), |command| command.id.order, |payment, command, now| {
            match judge(payment, command) {
                Judged::Answer(answer) => decided(None, answer),
                Judged::Record(payment, answer) => decided(Some(payment), answer),
                Judged::Intend(_) if closed => {
                    decided(None, Answer::Unavailable("the gateway has not answered for a while".to_owned()))
                }
                Judged::Intend(payment) => self.intend(payment, &command.context, now),
            }
        });
        let first = first.await;
        let asked = first.iter().filter_map(|first| first.as_ref().ok()?.1.clone()).collect();
        let settled = self.perform(asked).await;
        let answers = batch.iter().zip(first);
        answers.map(|(command, first)| last(command, first, &settled, judge)).collect()
    }

    fn intend<R>(
        &self,
        mut payment: Payment,
        context: &Context,
        now: banyan_kernel::Timestamp,
    ) -> Decision<(Answer<R>, Option<Asked>)> {
        payment.trace = context.trace;
        let asked = self.claim(payment, context.clone(), now);
        Decision { change: Some(asked.payment.clone()), movement: None, reply: (Answer::Pending, Some(asked)) }
    }

    /// Marks a call as being made now; to be committed before it is.
    pub(crate) fn claim(&self, mut payment: Payment, context: Context, now: banyan_kernel::Timestamp) -> Asked {
        if let Some(id) = payment.command() {
            payment.intent.claim(&id, &self.timing, now);
        }
        Asked { payment, context }
    }

    /// Makes the calls, and tells what came of those that were answered soon.
    pub(crate) async fn perform(&self, asked: Vec<Asked>) -> HashMap<OrderId, Settled> {
        let config = self.gateway.config();
        let settled = perform(Calls(self.clone()), asked, config.soft_wait, config.at_once).await;
        settled.into_iter().flatten().map(|settled| (settled.payment.order, settled)).collect()
    }
}

fn decided<R>(change: Option<Payment>, answer: Answer<R>) -> Decision<(Answer<R>, Option<Asked>)> {
    Decision { change, movement: None, reply: (answer, None) }
}

/// The answer at last: what waited for a call is judged by the payment as the call left it.
fn last<B, R>(
    command: &Command<B>,
    first: Result<(Answer<R>, Option<Asked>), StoreError>,
    settled: &HashMap<OrderId, Settled>,
    judge: Judge<B, R>,
) -> Answer<R> {
    let answer = match first {
        Ok((answer, _)) => answer,
        Err(error) if error.is_transient() => return Answer::Unavailable(error.to_string()),
        Err(error) => {
            let correlation = command.context.trace.correlation();
            tracing::error!(%error, correlation, id = %command.id, "a command cannot be written");
            return Answer::Broken(error.to_string());
        }
    };
    match (answer, settled.get(&command.id.order)) {
        (Answer::Pending, Some(Settled { trouble: Some(why), .. })) => Answer::Broken(why.clone()),
        (Answer::Pending, Some(settled)) => match judge(Some(&settled.payment), command) {
            Judged::Answer(answer) => answer,
            // It goes on from here when it is asked again.
            Judged::Record(..) | Judged::Intend(_) => Answer::Pending,
        },
        (answer, _) => answer,
    }
}

/// The calls of payments.
#[derive(Clone)]
struct Calls(Payments);

#[async_trait]
impl Outside for Calls {
    type Asked = Asked;
    type Came = String;
    type Settled = Option<Settled>;

    async fn ask(&self, asked: &Asked) -> Outcome<String> {
        self.0.gateway.ask(&asked.payment).await
    }

    async fn settle(&self, came: Vec<(Asked, Outcome<String>)>) -> Vec<Option<Settled>> {
        let settled = self.0.write(came, |(asked, _)| asked.payment.order, |payment, (asked, outcome), now| {
            settle(payment, asked, outcome, now)
        });
        let settled = settled.await.into_iter().map(|settled| {
            settled
                .inspect_err(|error| {
                    tracing::error!(%error, correlation = "", "an outcome is not committed; it is asked for again");
                })
                .ok()
                .flatten()
        });
        settled.collect()
    }
}

/// What an outcome makes of the payment, if it still stands where it was asked.
fn settle(
    payment: Option<&Payment>,
    asked: &Asked,
    outcome: &Outcome<String>,
    now: banyan_kernel::Timestamp,
) -> Decision<Option<Settled>> {
    let trouble = match outcome {
        Outcome::Misconfigured(why) => Some(why.clone()),
        _ => None,
    };
    let nothing = |payment: Option<&Payment>| Decision {
        change: None,
        movement: None,
        reply: payment.map(|payment| Settled { payment: payment.clone(), trouble: None }),
    };
    let Some((payment, id)) = payment.and_then(|payment| Some((payment, payment.command()?))) else {
        return nothing(payment);
    };
    let same = asked.payment.command().as_ref() == Some(&id) && asked.payment.intent.again == payment.intent.again;
    let latest = asked.payment.intent.tries == payment.intent.tries;
    let settles = matches!(outcome, Outcome::Done(_) | Outcome::Refused(_));
    if !same || !(latest || settles) {
        return nothing(Some(payment));
    }
    let mut payment = payment.clone();
    let movement = match payment.intent.meet(outcome.clone(), &id, now) {
        Some(Ok(reference)) => Some(done(&mut payment, reference)),
        Some(Err(refusal)) => {
            payment.state = if payment.state == State::Capturing { State::CaptureRefused } else { State::Refused };
            payment.refusal = Some(refusal);
            None
        }
        None => None,
    };
    let trouble = trouble.or(payment.intent.broken.clone());
    let movement =
        movement.map(|kind| Movement::new(kind, &payment, id.to_string(), asked.context.clone()));
    Decision { change: Some(payment.clone()), movement, reply: Some(Settled { payment, trouble }) }
}

/// The call is done: the state it led to, and the money it moved.
fn done(payment: &mut Payment, reference: String) -> crate::ledger::Kind {
    use crate::ledger::Kind;
    let asked_again = payment.intent.tries > 1;
    let (state, kind) = match payment.state {
        State::Capturing => (State::Captured, Kind::Captured),
        State::Voiding => (State::Voided, Kind::Voided),
        State::Refunding => (State::Refunded, Kind::Refunded),
        _ => (State::Authorised, Kind::Authorised),
    };
    match kind {
        Kind::Authorised => (payment.asked_again, payment.reference) = (asked_again, Some(reference)),
        Kind::Captured => payment.capture_asked_again = asked_again,
        Kind::Voided | Kind::Refunded => {}
    }
    payment.state = state;
    payment.version += 1;
    kind
}
