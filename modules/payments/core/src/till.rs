//! The module's desk: its rows, its gateway, and what becomes of a payment once the gateway has answered.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{Context, OrderId, Refusal, Timestamp};
use banyan_net::outbound::{Caller, Changes, Desk, Outcome, Record};
use banyan_store::{Store, StoreError, Write};
use sqlx::PgConnection;

use crate::{
    gateway::Gateway,
    ledger::{self, Kind, Movement},
    payment::{self, Payment, State},
};

/// What is further away than the largest back-off was written by a clock that jumped: due now.
const DUE: &str = "select order_id from payment where slot = any($1) and next_try_at is not null \
     and (next_try_at <= $2 or next_try_at > $3) order by next_try_at limit $4";

#[derive(Clone)]
pub(crate) struct Till {
    pub(crate) store: Store,
    pub(crate) gateway: Arc<Gateway>,
}

#[async_trait]
impl Desk for Till {
    type Row = Payment;
    /// The gateway's id.
    type Came = String;
    type Told = Movement;
    const GROUP: &'static str = "payments.intents";
    const DUE: &'static str = DUE;

    fn store(&self) -> &Store {
        &self.store
    }

    fn caller(&self) -> &Caller {
        self.gateway.caller()
    }

    async fn call(&self, payment: &Payment) -> Outcome<String> {
        self.gateway.ask(payment).await
    }

    fn settle(payment: &mut Payment, how: Result<String, Refusal>, context: &Context) -> Option<Movement> {
        let causation = payment.command().map(|id| id.to_string()).unwrap_or_default();
        match how {
            Ok(reference) => {
                let kind = done(payment, reference);
                Some(Movement::new(kind, payment, causation, context.clone()))
            }
            Err(refusal) => {
                let capturing = payment.state == State::Capturing;
                payment.state = if capturing { State::CaptureRefused } else { State::Refused };
                payment.refusal = Some(refusal);
                None
            }
        }
    }

    async fn read(connection: &mut PgConnection, orders: &[OrderId]) -> Result<Vec<Payment>, sqlx::Error> {
        payment::read(connection, orders).await
    }

    async fn put(write: &mut Write, changes: Changes<'_, Self>, at: Timestamp) -> Result<(), StoreError> {
        payment::put(write.connection(), payment::INSERT, &changes.new).await?;
        payment::put(write.connection(), payment::UPDATE, &changes.old).await?;
        ledger::put(write, &changes.told, at).await
    }
}

/// The call is done: the state it led to, and the money it moved.
fn done(payment: &mut Payment, reference: String) -> Kind {
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
