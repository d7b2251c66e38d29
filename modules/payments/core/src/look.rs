//! Looks up what was given back of a payment and what is disputed, and records what nobody here asked for: level-triggered, so that it is the same
//! how often, when, and why it is due.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{CommandId, Context, OrderId, Refusal, Timestamp, TraceParent};
use banyan_net::outbound::{Caller, Changes, Desk, Intent, Outcome, Record};
use banyan_store::{Locks, Store, StoreError, Tell, Write};
use sqlx::{FromRow as _, PgConnection, Row as _, postgres::PgRow, types::Uuid};

use crate::{
    disputes::{self, Changed, Dispute},
    gateway::{Gateway, GivenBack},
    ledger::{self, Movement},
    payment::State as Paid,
    refunds::{self, Refunds, State},
};

/// A look-up has no key that could be forgotten.
const READ: &str = "select order_id, hints, tries, 0 as again, look_ups, first_sent_at, next_try_at, broken from gateway_look \
     where order_id = any($1) order by order_id";
const DUE: &str = "select order_id from gateway_look where slot = any($1) and next_try_at is not null \
     and (next_try_at <= $2 or next_try_at > $3) order by next_try_at limit $4";
const UPDATE: &str = "update gateway_look l set tries = t.tries, look_ups = t.look_ups, first_sent_at = t.first, \
     next_try_at = t.next, broken = t.broken from unnest($1::uuid[], $2::int4[], $3::int4[], $4::timestamptz[], \
     $5::timestamptz[], $6::text[]) as t(o, tries, look_ups, first, next, broken) where l.order_id = t.o";

/// After a restore nobody knows of which payments something was given back since.
const LOOK_AT_ALL: &str = "insert into gateway_look as l (order_id, slot, hints, events, tries, look_ups, next_try_at) \
     select order_id, slot, 1, '{}', 0, 0, $1 from payment where state = 'captured' and reference is not null \
     on conflict (order_id) do update set hints = l.hints + 1, tries = 0, look_ups = 0, first_sent_at = null, \
     next_try_at = $1, broken = null";

/// Has every payment that was taken looked up, at the desk's own pace.
pub(crate) async fn look_at_all(store: &Store) -> Result<u64, StoreError> {
    let mut write = store.begin(&Locks::none()).await?;
    let due = sqlx::query(LOOK_AT_ALL).bind(store.clock().now()).execute(write.connection()).await?;
    write.commit().await?;
    Ok(due.rows_affected())
}

/// A payment's refunds as they are known here, and the look-up.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    refunds: Refunds,
    disputes: Vec<Dispute>,
    hints: i32,
    intent: Intent,
}

impl Record for Look {
    fn order(&self) -> OrderId {
        self.refunds.order
    }

    fn trace(&mut self) -> &mut TraceParent {
        &mut self.refunds.trace
    }

    fn intent(&self) -> &Intent {
        &self.intent
    }

    fn intent_mut(&mut self) -> &mut Intent {
        &mut self.intent
    }

    fn command(&self) -> Option<CommandId> {
        self.intent.next_try_at?;
        Some(CommandId::new(self.refunds.order, "look", self.hints.unsigned_abs()))
    }
}

impl Look {
    /// Whether money of this payment is on its way by our own wish: what is found meanwhile may be that.
    fn is_under_way(&self) -> bool {
        let paid = matches!(self.refunds.paid, Paid::Authorising | Paid::Capturing | Paid::Refunding);
        paid || self.refunds.last().is_some_and(|refund| refund.state == State::Asked)
    }
}

/// What the gateway says.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    given_back: Vec<GivenBack>,
    disputes: Vec<Dispute>,
}

/// What is told of it.
pub(crate) struct Told {
    movements: Vec<Movement>,
    disputes: Vec<Changed>,
}

/// The module's desk for look-ups.
#[derive(Clone)]
pub(crate) struct LookDesk {
    pub(crate) store: Store,
    pub(crate) gateway: Arc<Gateway>,
}

impl LookDesk {
    async fn found(&self, row: &Look, reference: &str) -> Outcome<Found> {
        let (trace, tries) = (&row.refunds.trace, row.intent.tries);
        let given_back = match self.gateway.given_back(trace, reference, tries).await {
            Outcome::Done(all) => all,
            other => return other.map(|given_back| Found { given_back, disputes: Vec::new() }),
        };
        if let Some(one) = given_back.iter().find(|one| one.failed && row.refunds.has(one)) {
            return Outcome::Broken(format!("{} was done here, and failed at the gateway", one.id));
        }
        let disputes = self.gateway.disputed(trace, reference, tries).await;
        disputes.map(|disputes| Found { given_back, disputes })
    }
}

#[async_trait]
impl Desk for LookDesk {
    type Row = Look;
    type Came = Found;
    type Told = Told;
    const GROUP: &'static str = "payments.looks";
    const DUE: &'static str = DUE;

    fn store(&self) -> &Store {
        &self.store
    }

    fn caller(&self) -> &Caller {
        self.gateway.caller()
    }

    async fn call(&self, row: &Look) -> Outcome<Found> {
        let Some(reference) = row.refunds.reference.as_deref() else {
            return Outcome::Broken("the gateway has no id of it".to_owned());
        };
        if row.is_under_way() {
            return Outcome::Unknown("something of our own is under way".to_owned());
        }
        let found = self.found(row, reference).await;
        if let Outcome::Broken(why) = &found {
            // Nobody asked, so that nobody else would hear of it.
            let correlation = row.refunds.trace.correlation();
            tracing::error!(why, order = %row.refunds.order, correlation, "what became of a payment cannot be told");
        }
        found
    }

    fn settle(row: &mut Look, how: Result<Found, Refusal>, context: &Context) -> Option<Told> {
        if row.is_under_way() {
            // Somebody asked since the look: once more, at once.
            row.intent.next_try_at = Some(Timestamp::UNIX_EPOCH);
            return None;
        }
        let Found { given_back, disputes } = how.ok()?;
        let is_kept = row.refunds.paid == Paid::Captured;
        let is_unknown = |one: &GivenBack| is_kept && !one.failed && !row.refunds.has(one);
        let unknown: Vec<GivenBack> = given_back.into_iter().filter(is_unknown).collect();
        let movements = unknown.iter().map(|one| row.refunds.found(one, context)).collect();
        let changed: Vec<Dispute> = disputes.into_iter().filter(|one| !row.disputes.contains(one)).collect();
        let disputes = changed.into_iter().map(|one| row.refunds.disputed(one, context)).collect();
        Some(Told { movements, disputes })
    }

    async fn read(connection: &mut PgConnection, orders: &[OrderId]) -> Result<Vec<Look>, sqlx::Error> {
        let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
        let looks = sqlx::query(READ).bind(ids).fetch_all(&mut *connection).await?;
        let payments = refunds::read(&mut *connection, orders).await?;
        let disputes = disputes::read(connection, orders).await?;
        let of = |row: &PgRow| -> Result<Option<Look>, sqlx::Error> {
            let order = OrderId(row.try_get("order_id")?);
            let disputes = disputes.iter().filter(|(of, _)| *of == order).map(|(_, one)| one.clone());
            let refunds = payments.iter().find(|refunds| refunds.order == order);
            refunds.map(|refunds| look(row, refunds.clone(), disputes.collect())).transpose()
        };
        looks.iter().filter_map(|row| of(row).transpose()).collect()
    }

    async fn put(write: &mut Write, changes: Changes<'_, Self>, at: Timestamp) -> Result<(), StoreError> {
        let rows = changes.old;
        let new = rows.iter().flat_map(|row| {
            let new = row.refunds.list.iter().filter(|refund| refund.at.is_none());
            new.map(|refund| (&row.refunds, refund))
        });
        refunds::put(write.connection(), &new.collect::<Vec<_>>(), at).await?;
        update(write.connection(), &rows).await?;
        let disputes: Vec<&Changed> = changes.told.iter().flat_map(|told| &told.disputes).collect();
        disputes::put(write.connection(), &disputes, at).await?;
        let movements: Vec<Movement> = changes.told.iter().flat_map(|told| told.movements.clone()).collect();
        ledger::put(write, &movements, at).await?;
        let events: Vec<Tell> = disputes.iter().map(|one| one.tell(at)).collect();
        if events.is_empty() { Ok(()) } else { write.tell(&events).await }
    }
}

fn look(row: &PgRow, refunds: Refunds, disputes: Vec<Dispute>) -> Result<Look, sqlx::Error> {
    Ok(Look { refunds, disputes, hints: row.try_get("hints")?, intent: Intent::from_row(row)? })
}

async fn update(connection: &mut PgConnection, rows: &[&Look]) -> Result<(), sqlx::Error> {
    sqlx::query(UPDATE)
        .bind(rows.iter().map(|row| row.refunds.order.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.intent.tries).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.intent.look_ups).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.intent.first_sent_at).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.intent.next_try_at).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.intent.broken.as_deref()).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}
