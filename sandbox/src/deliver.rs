//! A request's way through the faults: planned, done, and then answered or not.

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::{Html, IntoResponse as _, Response};
use tokio::time::sleep;

use crate::answer::{Answer, Trouble};
use crate::faults::{Fault, FaultKind, Outage};
use crate::ledger::{Ask, Delivery, Taken};
use crate::posted::Posted;
use crate::sandbox::Sandbox;
use crate::step::{Address, Party};
use crate::wire::Wire;

/// How long a connection is held that will never be answered.
const LONGEST_HELD: Duration = Duration::from_secs(30);
const GARBAGE: &str = "<html><body><h1>It works!</h1></body></html>";

struct Outcome {
    answer: Answer,
    fault: Option<FaultKind>,
    fresh: bool,
}

impl Outcome {
    fn plain(answer: Answer) -> Self {
        Self { answer, fault: None, fresh: false }
    }
}

/// Takes a request to the core as its plan says, and its answer back.
pub(crate) async fn deliver<A: Ask>(sandbox: Arc<Sandbox>, posted: Posted, ask: A) -> Response {
    let wire = posted.wire.clone();
    let delivery = plan(&sandbox, posted, ask);
    if let Fault::Down(outage) = delivery.planned {
        sandbox.count_down(&delivery.address);
        return down(outage, delivery.ask.step().party(), &wire).await;
    }
    let twice = delivery.planned == Fault::Twice && sandbox.ledger().world.first(&delivery.address);
    let outcome = match twice {
        true => execute_twice(&sandbox, delivery).await,
        false => execute(&sandbox, &Arc::new(delivery)).await,
    };
    send(&sandbox, outcome, &wire).await
}

/// Not done: 503, or the connection is reset.
pub(crate) async fn down(outage: Outage, party: Party, wire: &Wire) -> Response {
    match outage {
        Outage::Unavailable => Trouble::Down.told_by(party).into_response(),
        Outage::Reset => wire.reset().await,
    }
}

fn plan<A: Ask>(sandbox: &Sandbox, posted: Posted, ask: A) -> Delivery<A> {
    let order = posted.order.or_else(|| ask.order_in(&sandbox.ledger().world)).unwrap_or_default();
    let address = Address { order, step: ask.step(), attempt: posted.attempt, delivery: posted.delivery };
    Delivery {
        planned: sandbox.planned(&address),
        ask,
        address,
        key: posted.key,
        fingerprint: posted.fingerprint,
        correlation: posted.correlation,
        trace: posted.trace,
    }
}

/// Both deliveries race; what the caller sees is the answer of the one that did it.
async fn execute_twice<A: Ask>(sandbox: &Arc<Sandbox>, delivery: Delivery<A>) -> Outcome {
    let delivery = Arc::new(delivery);
    let (one, other) = tokio::join!(execute(sandbox, &delivery), execute(sandbox, &delivery));
    if other.fresh && !one.fresh { other } else { one }
}

/// In a task of its own: a caller that hangs up does not stop what it asked for.
async fn execute<A: Ask>(sandbox: &Arc<Sandbox>, delivery: &Arc<Delivery<A>>) -> Outcome {
    let party = delivery.ask.step().party();
    let (sandbox, delivery) = (sandbox.clone(), delivery.clone());
    let executed = tokio::spawn(async move {
        let Ok(_permit) = sandbox.permits.try_acquire() else {
            return Outcome::plain(Trouble::Busy.told_by(party));
        };
        let taken = take(&sandbox, &delivery).await;
        settle(&sandbox, taken, party).await
    });
    executed.await.unwrap_or_else(|_| Outcome::plain(Trouble::NotBooked.told_by(party)))
}

async fn take<A: Ask>(sandbox: &Sandbox, delivery: &Delivery<A>) -> Taken {
    if !delivery.ask.slow() {
        return sandbox.ledger().take(delivery, sandbox.now().wall, sandbox.book.durable());
    }
    let known = sandbox.ledger().begin(delivery, sandbox.now().wall, sandbox.book.durable());
    if let Some(known) = known {
        return known;
    }
    sleep(Duration::from_millis(sandbox.config.slow_ms)).await;
    sandbox.ledger().finish(delivery, sandbox.now().wall)
}

/// Waits until the book holds what the answer says.
async fn settle(sandbox: &Sandbox, taken: Taken, party: Party) -> Outcome {
    let lost = || Outcome::plain(Trouble::NotBooked.told_by(party));
    match taken {
        Taken::Done { answer, end, fault } => match sandbox.book.reached(end).await {
            Ok(()) => Outcome { answer, fault, fresh: true },
            Err(_) => lost(),
        },
        Taken::Refused { answer, end } => match sandbox.book.reached(end).await {
            Ok(()) => Outcome::plain(answer),
            Err(_) => lost(),
        },
        Taken::Repeat { offset } => match sandbox.line(offset).await {
            Ok(entry) => Outcome::plain(entry.effect.answer().replayed()),
            Err(_) => lost(),
        },
        Taken::Stopped(trouble) => Outcome::plain(trouble.told_by(party)),
    }
}

async fn send(sandbox: &Sandbox, outcome: Outcome, wire: &Wire) -> Response {
    match outcome.fault {
        Some(FaultKind::Timeout) => {
            sleep(LONGEST_HELD).await;
            wire.reset().await
        }
        Some(FaultKind::Late) => sleep(Duration::from_millis(sandbox.config.late_ms)).await,
        Some(FaultKind::VeryLate) => sleep(Duration::from_millis(sandbox.config.very_late_ms)).await,
        Some(FaultKind::Garbage) => return (StatusCode::OK, Html(GARBAGE)).into_response(),
        _ => {}
    }
    outcome.answer.into_response()
}
