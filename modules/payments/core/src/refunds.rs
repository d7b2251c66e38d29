//! An order's refunds as one row of the desk: what was paid, what was given back, and the refund under way.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use banyan_kernel::{
    Actor, CommandId, Context, Line, Money, OrderId, Refusal, Timestamp, TraceParent, slot_of, stable_hash,
};
use banyan_net::outbound::{Call, CallError, Caller, Changes, Desk, Intent, Method, Outcome, Record, Reply};
use banyan_store::{Store, StoreError, Write};
use payments_api::{RefundState, RefundView};
use sqlx::{FromRow as _, PgConnection, Row as _, postgres::PgRow, types::Uuid};

use crate::{
    disputes::{Changed, Dispute},
    gateway::{FORM, Gateway, GivenBack, code_of, declined, form, metadata, status},
    ledger::{self, Kind, Movement},
    payment::{self, Payment, State as Paid},
};

/// The step's name in command ids, at the gateway too: it is another one than the saga's own undo.
const STEP: &str = "give_back";
/// The saga's.
const UNDO: &str = "refund";
/// What the key of a refund begins with that was found at the gateway; its id there follows, and its number, where it was this
/// shop that had asked for it, before its database was restored.
const THERE: &str = "gateway/";

const READ: &str = "select order_id, n, key, amount_minor, reason, actor, at, state, tries, again, look_ups, first_sent_at, \
     next_try_at, refusal_code, refusal_detail, broken, lines from refund where order_id = any($1) order by order_id, n";
const DUE: &str = "select order_id from refund where slot = any($1) and next_try_at is not null \
     and (next_try_at <= $2 or next_try_at > $3) order by next_try_at limit $4";
/// Only the refund under way changes.
const PUT: &str = "insert into refund (order_id, n, key, amount_minor, reason, actor, at, slot, state, tries, again, \
     look_ups, first_sent_at, next_try_at, refusal_code, refusal_detail, broken, lines) \
     select o, n, key, amount, reason, actor, $17, slot, state, tries, again, look_ups, first, next, code, detail, broken, \
     lines from unnest($1::uuid[], $2::int4[], $3::text[], $4::int8[], $5::text[], $6::text[], $7::int2[], $8::text[], \
     $9::int4[], $10::int4[], $11::int4[], $12::timestamptz[], $13::timestamptz[], $14::text[], $15::text[], \
     $16::text[], $18::jsonb[]) as t(o, n, key, amount, reason, actor, slot, state, tries, again, look_ups, first, next, code, \
     detail, broken, lines) \
     on conflict (order_id, n) do update set state = excluded.state, tries = excluded.tries, again = excluded.again, \
     look_ups = excluded.look_ups, first_sent_at = excluded.first_sent_at, next_try_at = excluded.next_try_at, \
     refusal_code = excluded.refusal_code, refusal_detail = excluded.refusal_detail, broken = excluded.broken";
/// Each movement of money is told under the payment's own count.
const VERSION: &str = "update payment p set version = t.version from unnest($1::uuid[], $2::int8[]) as t(o, version) \
     where p.order_id = t.o and p.version <> t.version";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Asked,
    Done,
    Refused,
}

/// One refund.
#[derive(Clone, Debug)]
pub(crate) struct Refund {
    pub(crate) n: i32,
    pub(crate) key: String,
    pub(crate) amount_minor: i64,
    pub(crate) lines: Vec<Line>,
    pub(crate) reason: String,
    pub(crate) actor: String,
    /// When it was asked for; none before it is kept.
    pub(crate) at: Option<Timestamp>,
    pub(crate) state: State,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) intent: Intent,
}

/// All refunds of an order that was paid.
#[derive(Clone, Debug)]
pub(crate) struct Refunds {
    pub(crate) order: OrderId,
    pub(crate) trace: TraceParent,
    amount: Money,
    pub(crate) reference: Option<String>,
    pub(crate) paid: Paid,
    version: i64,
    pub(crate) list: Vec<Refund>,
    /// Stands for the intent of an order without a refund.
    none: Intent,
}

/// The attempt that a refund is sent as: of its wish, and not of its place among the order's refunds, which may be another's after
/// the database was restored. Whoever asks again with the same key then gets what was done, and who asks for more gets more.
pub(crate) fn attempt_of(key: &str) -> u32 {
    let [.., a, b, c, d] = stable_hash(key.as_bytes()).to_be_bytes();
    (u32::from_be_bytes([a, b, c, d]) & (u32::MAX >> 1)).max(1)
}

impl Refund {
    /// Whether this is what was wished under the key, also if it was found at the gateway, asked for and forgotten.
    pub(crate) fn is_of(&self, key: &str) -> bool {
        let attempt = self.there().and_then(|(_, attempt)| attempt);
        self.key == key || attempt.is_some_and(|attempt| attempt == attempt_of(key).to_string())
    }

    /// Whether it was found at the gateway.
    pub(crate) fn is_found(&self) -> bool {
        self.there().is_some()
    }

    /// If it was found at the gateway: its id there, and the attempt that it was sent as, where it was this shop that asked.
    fn there(&self) -> Option<(&str, Option<&str>)> {
        let found = self.key.strip_prefix(THERE)?;
        Some(found.split_once('/').map_or((found, None), |(id, attempt)| (id, Some(attempt))))
    }
}

impl Refunds {
    fn of(payment: Payment) -> Self {
        let Payment { order, trace, amount, reference, state, version, .. } = payment;
        Self {
            order,
            trace,
            amount,
            reference,
            paid: state,
            version,
            list: Vec::new(),
            none: Intent::default(),
        }
    }

    pub(crate) fn last(&self) -> Option<&Refund> {
        self.list.last()
    }

    /// What was taken and not given back yet.
    pub(crate) fn left_minor(&self) -> i64 {
        let done = self.list.iter().filter(|refund| refund.state == State::Done);
        self.amount.minor - done.map(|refund| refund.amount_minor).sum::<i64>()
    }

    /// Whether a refund at the gateway is known here: asked for by us, or found before.
    pub(crate) fn has(&self, found: &GivenBack) -> bool {
        let asked = |refund: &Refund| {
            found.step.as_deref() == Some(STEP) && found.attempt == Some(attempt_of(&refund.key).to_string())
        };
        let known = self.list.iter().any(|refund| match refund.there() {
            Some((id, _)) => id == found.id,
            None => asked(refund),
        });
        known || found.step.as_deref() == Some(UNDO)
    }

    /// Takes in one that was made at the gateway by hand, or asked for and forgotten, and tells it.
    pub(crate) fn found(&mut self, found: &GivenBack, context: &Context) -> Movement {
        self.version += 1;
        self.list.push(Refund {
            n: next_of(&self.list),
            key: match (found.step.as_deref(), &found.attempt) {
                (Some(STEP), Some(attempt)) => format!("{THERE}{}/{attempt}", found.id),
                _ => format!("{THERE}{}", found.id),
            },
            amount_minor: found.amount_minor,
            lines: Vec::new(),
            reason: "given back at the gateway".to_owned(),
            actor: Actor::system("gateway").to_string(),
            at: None,
            state: State::Done,
            refusal: None,
            intent: Intent::default(),
        });
        let amount = Money { minor: found.amount_minor, currency: self.amount.currency };
        Movement::of(Kind::Refunded, self.order, amount, self.version, found.id.clone(), context.clone())
    }

    /// Takes in that a dispute is new or stands otherwise, and tells it.
    pub(crate) fn disputed(&mut self, dispute: Dispute, context: &Context) -> Changed {
        self.version += 1;
        let amount = Money { minor: dispute.amount_minor, currency: self.amount.currency };
        Changed { order: self.order, dispute, amount, sequence: self.version, context: context.clone() }
    }

    pub(crate) fn view(&self, refund: &Refund) -> RefundView {
        RefundView {
            n: refund.n.unsigned_abs(),
            amount: Money { minor: refund.amount_minor, currency: self.amount.currency },
            lines: refund.lines.clone(),
            reason: refund.reason.clone(),
            state: match refund.state {
                State::Asked => RefundState::Pending,
                State::Done => RefundState::Done,
                State::Refused => RefundState::Refused,
            },
            actor: refund.actor.clone(),
            at: refund.at,
        }
    }
}

/// The number of the refund after these.
pub(crate) fn next_of(list: &[Refund]) -> i32 {
    i32::try_from(list.len()).unwrap_or(i32::MAX).saturating_add(1)
}

impl Record for Refunds {
    fn order(&self) -> OrderId {
        self.order
    }

    fn trace(&mut self) -> &mut TraceParent {
        &mut self.trace
    }

    fn intent(&self) -> &Intent {
        self.list.last().map_or(&self.none, |refund| &refund.intent)
    }

    fn intent_mut(&mut self) -> &mut Intent {
        self.list.last_mut().map_or(&mut self.none, |refund| &mut refund.intent)
    }

    fn command(&self) -> Option<CommandId> {
        let asked = self.list.last().filter(|refund| refund.state == State::Asked)?;
        Some(CommandId::new(self.order, STEP, attempt_of(&asked.key)))
    }
}

/// The module's desk for refunds.
#[derive(Clone)]
pub(crate) struct RefundDesk {
    pub(crate) store: Store,
    pub(crate) gateway: Arc<Gateway>,
}

#[async_trait]
impl Desk for RefundDesk {
    type Row = Refunds;
    /// The gateway's id of the refund: nothing is done with it.
    type Came = ();
    type Told = Movement;
    const GROUP: &'static str = "payments.refunds";
    const DUE: &'static str = DUE;

    fn store(&self) -> &Store {
        &self.store
    }

    fn caller(&self) -> &Caller {
        self.gateway.caller()
    }

    async fn call(&self, row: &Refunds) -> Outcome<()> {
        let (Some(id), Some(refund)) = (row.command(), row.last()) else {
            return Outcome::Broken("nothing is under way".to_owned());
        };
        let answered = if refund.intent.is_look_up() {
            self.look_up(row, &id, refund).await.map(|reply| looked_up(refund, &reply))
        } else {
            self.send(row, &id, refund).await.map(|reply| answered(refund, &reply))
        };
        answered.unwrap_or_else(Outcome::from)
    }

    fn settle(row: &mut Refunds, how: Result<(), Refusal>, context: &Context) -> Option<Movement> {
        let causation = row.command().map(|id| id.to_string()).unwrap_or_default();
        let (order, currency, sequence) = (row.order, row.amount.currency, row.version + 1);
        let refund = row.list.last_mut()?;
        match how {
            Ok(()) => {
                refund.state = State::Done;
                let amount = Money { minor: refund.amount_minor, currency };
                row.version = sequence;
                Some(Movement::of(Kind::Refunded, order, amount, sequence, causation, context.clone()))
            }
            Err(refusal) => {
                refund.state = State::Refused;
                refund.refusal = Some(refusal);
                None
            }
        }
    }

    async fn read(connection: &mut PgConnection, orders: &[OrderId]) -> Result<Vec<Refunds>, sqlx::Error> {
        read(connection, orders).await
    }

    async fn put(write: &mut Write, changes: Changes<'_, Self>, at: Timestamp) -> Result<(), StoreError> {
        // An order's first refund is as new as its second: the payment was there before both.
        let rows = changes.new.into_iter().chain(changes.old);
        let rows: Vec<_> = rows.filter_map(|row| Some((row, row.last()?))).collect();
        put(write.connection(), &rows, at).await?;
        ledger::put(write, &changes.told, at).await
    }
}

impl RefundDesk {
    async fn send(&self, row: &Refunds, id: &CommandId, refund: &Refund) -> Result<Reply, CallError> {
        let about = [
            ("payment_intent".to_owned(), row.reference.clone().unwrap_or_default()),
            ("amount".to_owned(), refund.amount_minor.to_string()),
        ];
        let fields: Vec<(String, String)> = about.into_iter().chain(metadata(id)).collect();
        let call = Call::new(Method::POST, &id.step, "/v1/refunds", row.trace)
            .body(FORM, form(&fields))
            .key(refund.intent.key(id))
            .delivery(refund.intent.tries);
        self.caller().call(call).await
    }

    async fn look_up(&self, row: &Refunds, id: &CommandId, refund: &Refund) -> Result<Reply, CallError> {
        let of = [("payment_intent".to_owned(), row.reference.clone().unwrap_or_default())];
        let step = format!("look up {}", id.step);
        let path = format!("/v1/refunds?{}", form(&of));
        let call = Call::new(Method::GET, &step, path, row.trace).delivery(refund.intent.tries);
        self.caller().call(call).await
    }
}

/// What an answer means, by its status. Statuses that say nothing of the request are [`CallError`]s.
fn answered(refund: &Refund, reply: &Reply) -> Outcome<()> {
    let error = &reply.body["error"];
    match (reply.status, code_of(error)) {
        (200..=299, _) => given_back(refund, &reply.body),
        (400, "idempotency_key_reused") => Outcome::Broken("the key was used for something else".to_owned()),
        // Somebody gave it back at the gateway, by hand; or the bank has it.
        (400, "charge_already_refunded" | "charge_disputed" | "amount_too_large") | (402, _) => {
            Outcome::Refused(declined(error))
        }
        (status, code) => Outcome::Broken(format!("the gateway answered {status} {code}")),
    }
}

/// Among all that was given back of the payment: this one, by the step and number it was sent with.
fn looked_up(refund: &Refund, reply: &Reply) -> Outcome<()> {
    let Some(all) = reply.body["data"].as_array().filter(|_| reply.body["has_more"] != true) else {
        return Outcome::Unclear(format!("a list that is none, or goes on ({})", reply.status));
    };
    let attempt = attempt_of(&refund.key).to_string();
    let is_ours = |other: &&banyan_kernel::Json| {
        other["metadata"]["step"] == STEP && other["metadata"]["attempt"] == attempt.as_str()
    };
    let ours: Vec<_> = all.iter().filter(is_ours).collect();
    match ours[..] {
        [] => Outcome::Absent,
        [found] => given_back(refund, found),
        _ => Outcome::Broken("it was given back more than once".to_owned()),
    }
}

fn given_back(refund: &Refund, found: &banyan_kernel::Json) -> Outcome<()> {
    match (status(found), found["amount"] == refund.amount_minor) {
        ("succeeded" | "pending", true) => Outcome::Done(()),
        ("succeeded" | "pending", false) => Outcome::Broken("another amount was given back".to_owned()),
        (other, _) => Outcome::Unclear(format!("status {other:?} is not understood")),
    }
}

/// The payments of these orders with their refunds.
pub(crate) async fn read(
    connection: &mut PgConnection,
    orders: &[OrderId],
) -> Result<Vec<Refunds>, sqlx::Error> {
    let payments = payment::read(&mut *connection, orders).await?;
    let mut all: BTreeMap<OrderId, Refunds> =
        payments.into_iter().map(|payment| (payment.order, Refunds::of(payment))).collect();
    let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
    for row in sqlx::query(READ).bind(ids).fetch_all(connection).await? {
        let order = OrderId(row.try_get("order_id")?);
        if let Some(refunds) = all.get_mut(&order) {
            refunds.list.push(refund(&row)?);
        }
    }
    Ok(all.into_values().collect())
}

fn refund(row: &PgRow) -> Result<Refund, sqlx::Error> {
    let state: String = row.try_get("state")?;
    let code: Option<String> = row.try_get("refusal_code")?;
    let detail: Option<String> = row.try_get("refusal_detail")?;
    Ok(Refund {
        n: row.try_get("n")?,
        key: row.try_get("key")?,
        amount_minor: row.try_get("amount_minor")?,
        lines: row.try_get::<sqlx::types::Json<_>, _>("lines")?.0,
        reason: row.try_get("reason")?,
        actor: row.try_get("actor")?,
        at: Some(row.try_get("at")?),
        state: match state.as_str() {
            "asked" => State::Asked,
            "done" => State::Done,
            "refused" => State::Refused,
            _ => return Err(sqlx::Error::Decode(state.into())),
        },
        refusal: code.map(|code| Refusal::new(code, detail.unwrap_or_default())),
        intent: Intent::from_row(row)?,
    })
}

/// Puts these refunds of these payments, new or changed.
pub(crate) async fn put(
    connection: &mut PgConnection,
    rows: &[(&Refunds, &Refund)],
    at: Timestamp,
) -> Result<(), sqlx::Error> {
    fn all<'a, T>(rows: &[(&'a Refunds, &'a Refund)], f: impl Fn(&'a Refunds, &'a Refund) -> T) -> Vec<T> {
        rows.iter().map(|(row, refund)| f(row, refund)).collect()
    }
    if rows.is_empty() {
        return Ok(());
    }
    sqlx::query(PUT)
        .bind(all(rows, |row, _| row.order.0))
        .bind(all(rows, |_, refund| refund.n))
        .bind(all(rows, |_, refund| refund.key.as_str()))
        .bind(all(rows, |_, refund| refund.amount_minor))
        .bind(all(rows, |_, refund| refund.reason.as_str()))
        .bind(all(rows, |_, refund| refund.actor.as_str()))
        .bind(all(rows, |row, _| slot_of(&row.order.to_string()) as i16))
        .bind(all(rows, |_, refund| match refund.state {
            State::Asked => "asked",
            State::Done => "done",
            State::Refused => "refused",
        }))
        .bind(all(rows, |_, refund| refund.intent.tries))
        .bind(all(rows, |_, refund| refund.intent.again))
        .bind(all(rows, |_, refund| refund.intent.look_ups))
        .bind(all::<Option<Timestamp>>(rows, |_, refund| refund.intent.first_sent_at))
        .bind(all::<Option<Timestamp>>(rows, |_, refund| refund.intent.next_try_at))
        .bind(all(rows, |_, refund| refund.refusal.as_ref().map(|refusal| refusal.code.as_ref())))
        .bind(all(rows, |_, refund| refund.refusal.as_ref().map(|refusal| refusal.detail.as_str())))
        .bind(all(rows, |_, refund| refund.intent.broken.as_deref()))
        .bind(at)
        .bind(all(rows, |_, refund| sqlx::types::Json(&refund.lines)))
        .execute(&mut *connection)
        .await?;
    sqlx::query(VERSION)
        .bind(all(rows, |row, _| row.order.0))
        .bind(all(rows, |row, _| row.version))
        .execute(connection)
        .await?;
    Ok(())
}
