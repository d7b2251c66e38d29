//! How a command goes that needs somebody outside: its intent is committed, the call is made, its outcome is
//! committed; a slow call stalls no other.

use std::collections::HashMap;

use banyan_kernel::{Answer, Command, OrderId, Timestamp};
use banyan_store::StoreError;
use futures::{StreamExt, stream};
use tokio::sync::oneshot;

use super::{
    Desk, Judged, Outcome, Record, Room, Timing,
    desk::{Asked, Decision, write},
};
use crate::call::Away;

/// What a command means for its order's row.
pub type Judge<D, B, A> = fn(Option<&<D as Desk>::Row>, &Command<B>) -> Judged<<D as Desk>::Row, A>;

/// A row after a call's outcome was committed.
pub(super) struct Settled<R> {
    row: R,
    /// Why somebody must look.
    trouble: Option<String>,
}

/// Answers a batch, in its order. Goes to its end even where the caller goes away: a disconnect cancels nothing.
pub async fn ask<D: Desk, B, A>(desk: &D, batch: Vec<Command<B>>, judge: Judge<D, B, A>) -> Vec<Answer<A>>
where
    B: Clone + Send + Sync + 'static,
    A: Send + 'static,
{
    let (desk, items) = (desk.clone(), batch.len());
    match tokio::spawn(async move { ask_all(&desk, batch, judge).await }).await {
        Ok(answers) => answers,
        Err(error) => {
            tracing::error!(%error, group = D::GROUP, correlation = "", "a batch died; its intents are found again");
            let died = || Answer::Unavailable("the batch died; ask again".to_owned());
            std::iter::repeat_with(died).take(items).collect()
        }
    }
}

async fn ask_all<D: Desk, B, A>(desk: &D, batch: Vec<Command<B>>, judge: Judge<D, B, A>) -> Vec<Answer<A>>
where
    B: Clone + Send + Sync,
    A: Send,
{
    let timing = Timing::of(desk.caller().callee());
    let (shut, away) = (desk.caller().room() == Room::Shut, desk.caller().away());
    let first = write(
        desk,
        batch.clone(),
        |command| command.id.order,
        |row, command, now| match judge(row, command) {
            Judged::Answer(Answer::Pending) => decided(None, wait_for(away.as_ref())),
            Judged::Answer(answer) => decided(None, answer),
            Judged::Record(row, answer) => decided(Some(row), answer),
            Judged::Intend(_) if shut => decided(None, wait_for(away.as_ref())),
            Judged::Intend(row) => intend(row, command, &timing, now),
        },
    );
    let first = first.await;
    let asked = first.iter().filter_map(|first| first.as_ref().ok()?.1.clone()).collect();
    let settled = perform(desk.clone(), asked).await;
    batch.iter().zip(first).map(|(command, first)| last::<D, B, A>(command, first, &settled, judge)).collect()
}

/// What is told to who has to ask again: why, where it is known. That we are not let in is the same answer whether it came within the
/// soft wait or after it: what becomes of an order does not hang on how fast it was refused.
fn wait_for<A>(away: Option<&Away>) -> Answer<A> {
    match away {
        None => Answer::Pending,
        Some(Away::Silent(why)) => Answer::Unavailable(why.clone()),
        Some(Away::Forbids(why)) => Answer::Broken(why.clone()),
    }
}

type First<D, A> = (Answer<A>, Option<Asked<<D as Desk>::Row>>);

fn decided<D: Desk, A>(change: Option<D::Row>, answer: Answer<A>) -> Decision<D, First<D, A>> {
    Decision { change, told: None, reply: (answer, None) }
}

fn intend<D: Desk, B, A>(
    mut row: D::Row,
    command: &Command<B>,
    timing: &Timing,
    now: Timestamp,
) -> Decision<D, First<D, A>> {
    *row.trace() = command.context.trace;
    let asked = Asked::claim(row, command.context.clone(), timing, now);
    Decision { change: Some(asked.row.clone()), told: None, reply: (Answer::Pending, Some(asked)) }
}

/// The answer at last: what waited for a call is judged by the row as the call left it.
fn last<D: Desk, B, A>(
    command: &Command<B>,
    first: Result<First<D, A>, StoreError>,
    settled: &HashMap<OrderId, Settled<D::Row>>,
    judge: Judge<D, B, A>,
) -> Answer<A> {
    let answer = match first {
        Ok((answer, _)) => answer,
        Err(error) => {
            if !error.is_transient() {
                let correlation = command.context.trace.correlation();
                tracing::error!(%error, correlation, id = %command.id, "a command cannot be written");
            }
            return error.into();
        }
    };
    match (answer, settled.get(&command.id.order)) {
        (Answer::Pending, Some(Settled { trouble: Some(why), .. })) => Answer::Broken(why.clone()),
        (Answer::Pending, Some(settled)) => match judge(Some(&settled.row), command) {
            Judged::Answer(answer) => answer,
            // It goes on from here when it is asked again.
            Judged::Record(..) | Judged::Intend(_) => Answer::Pending,
        },
        (answer, _) => answer,
    }
}

/// Makes all calls, a bounded number at once; commits together and tells what came within the soft wait. The
/// slower ones go on by themselves, and commit what comes of them when it comes.
pub(super) async fn perform<D: Desk>(
    desk: D,
    asked: Vec<Asked<D::Row>>,
) -> HashMap<OrderId, Settled<D::Row>> {
    if asked.is_empty() {
        return HashMap::new();
    }
    let (tell, told) = oneshot::channel();
    tokio::spawn(async move {
        let (desk, callee) = (&desk, desk.caller().callee());
        let at_once = callee.at_once.max(1);
        let one = |asked: Asked<D::Row>| async move {
            let outcome = desk.call(&asked.row).await;
            (asked, outcome)
        };
        let mut calls = stream::iter(asked).map(one).buffer_unordered(at_once);
        let mut came = Vec::new();
        let all = async {
            while let Some(one) = calls.next().await {
                came.push(one);
            }
        };
        // Elapsed or not: what came is settled, the rest goes on below.
        let _ = tokio::time::timeout(callee.soft_wait, all).await;
        // Who asked may have gone; the outcomes stay.
        let _ = tell.send(settle(desk, came).await);
        let mut later = calls.ready_chunks(at_once);
        while let Some(came) = later.next().await {
            settle(desk, came).await;
        }
    });
    // A task that died leaves intents, which the reconciler finds.
    told.await.unwrap_or_default()
}

type Come<D> = (Asked<<D as Desk>::Row>, Outcome<<D as Desk>::Came>);

async fn settle<D: Desk>(desk: &D, came: Vec<Come<D>>) -> HashMap<OrderId, Settled<D::Row>> {
    let settled = write(
        desk,
        came,
        |(asked, _)| asked.row.order(),
        |row, (asked, outcome), now| {
            let Some(row) = row else { return Decision { change: None, told: None, reply: None } };
            settle_one(row, asked, outcome, now)
        },
    );
    let settled = settled.await.into_iter().filter_map(|settled| {
        let failed = |error: &StoreError| {
            tracing::error!(%error, group = D::GROUP, correlation = "", "an outcome is not committed; it is asked for again");
        };
        settled.inspect_err(failed).ok().flatten()
    });
    settled.map(|settled: Settled<D::Row>| (settled.row.order(), settled)).collect()
}

/// What an outcome makes of the row, if the row still waits for it.
fn settle_one<D: Desk>(
    row: &D::Row,
    asked: &Asked<D::Row>,
    outcome: &Outcome<D::Came>,
    now: Timestamp,
) -> Decision<D, Option<Settled<D::Row>>> {
    let mut row = row.clone();
    let Some(id) = row.command().filter(|id| waits(&row, asked, id, outcome)) else {
        return Decision { change: None, told: None, reply: Some(Settled { row, trouble: None }) };
    };
    let settled = row.intent_mut().meet(outcome.clone(), &id, now);
    let told = settled.and_then(|how| D::settle(&mut row, how, &asked.context));
    let trouble = match outcome {
        Outcome::Misconfigured(why) => Some(why.clone()),
        _ => row.intent().broken.clone(),
    };
    Decision { change: Some(row.clone()), told, reply: Some(Settled { row, trouble }) }
}

/// Whether the row's call under way is the one that was made; what settles nothing counts of the latest try alone.
fn waits<R: Record, T>(
    row: &R,
    asked: &Asked<R>,
    id: &banyan_kernel::CommandId,
    outcome: &Outcome<T>,
) -> bool {
    let (now, then) = (row.intent(), asked.row.intent());
    let same = asked.row.command().as_ref() == Some(id) && now.again == then.again;
    let settles = matches!(outcome, Outcome::Done(_) | Outcome::Refused(_));
    same && (settles || now.tries == then.tries)
}

#[cfg(test)]
mod tests {
    use banyan_kernel::{CommandId, Refusal, TraceParent};
    use uuid::Uuid;

    use super::*;
    use crate::outbound::Intent;

    /// A row with a call under way, as a module keeps one.
    #[derive(Clone)]
    struct Row {
        intent: Intent,
        attempt: u32,
    }

    const ORDER: OrderId = OrderId(Uuid::from_u128(1));

    impl Record for Row {
        fn order(&self) -> OrderId {
            ORDER
        }
        fn trace(&mut self) -> &mut TraceParent {
            unreachable!("nothing is called")
        }
        fn intent(&self) -> &Intent {
            &self.intent
        }
        fn intent_mut(&mut self) -> &mut Intent {
            &mut self.intent
        }
        fn command(&self) -> Option<CommandId> {
            (self.attempt > 0).then(|| CommandId::new(ORDER, "book", self.attempt))
        }
    }

    fn row(attempt: u32, again: i32, tries: i32) -> Row {
        Row { intent: Intent { again, tries, ..Intent::default() }, attempt }
    }

    /// Whether an outcome of the call that was made as `then` counts for the row as it stands `now`.
    fn counts(now: &Row, then: &Row, outcome: &Outcome<()>) -> bool {
        let context = banyan_kernel::Context::system("test", TraceParent::root(ORDER.0));
        let asked = Asked { row: then.clone(), context };
        now.command().is_some_and(|id| waits(now, &asked, &id, outcome))
    }

    #[test]
    fn an_outcome_counts_for_the_call_that_it_came_of_and_for_no_later_one() {
        let (done, refused) = (Outcome::Done(()), Outcome::Refused(Refusal::new("no", "no")));
        let unknown = Outcome::Unknown("no answer".to_owned());
        for outcome in [&done, &refused, &unknown] {
            assert!(counts(&row(1, 0, 1), &row(1, 0, 1), outcome), "its own call");
            assert!(!counts(&row(2, 0, 1), &row(1, 0, 1), outcome), "a later attempt is another question");
            assert!(!counts(&row(1, 1, 1), &row(1, 0, 1), outcome), "sent again under another key");
            assert!(!counts(&row(0, 0, 1), &row(1, 0, 1), outcome), "nothing is under way any more");
        }
        assert!(
            counts(&row(1, 0, 2), &row(1, 0, 1), &done),
            "an earlier try of the same key that came late, but came"
        );
        assert!(counts(&row(1, 0, 2), &row(1, 0, 1), &refused));
        assert!(
            !counts(&row(1, 0, 2), &row(1, 0, 1), &unknown),
            "what tells nothing tells nothing of a later try"
        );
    }
}
