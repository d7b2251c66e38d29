//! The row: one payment, what it came to, and the call under way.

use banyan_kernel::{Command, CommandId, Currency, Money, OrderId, Refusal, Timestamp, TraceParent, slot_of};
use banyan_net::outbound::{Intent, Record, trace_id};
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow, types::Uuid};

pub(crate) const READ: &str = "select * from payment where order_id = any($1) order by order_id";

pub(crate) const INSERT: &str = "insert into payment (order_id, amount_minor, slot, currency, method, trace, reference, \
     attempt, capture_attempt, version, tries, again, look_ups, barred, asked_again, capture_asked_again, state, \
     first_sent_at, next_try_at, refusal_code, refusal_detail, broken) \
     select * from unnest($1::uuid[], $2::int8[], $3::int2[], $4::text[], $5::text[], $6::uuid[], $7::text[], \
     $8::int4[], $9::int4[], $10::int8[], $11::int4[], $12::int4[], $13::int4[], $14::bool[], $15::bool[], \
     $16::bool[], $17::text[], $18::timestamptz[], $19::timestamptz[], $20::text[], $21::text[], $22::text[])";

/// The slot is the order's and stays; it is bound, as both statements are bound alike.
pub(crate) const UPDATE: &str = "update payment p set amount_minor = t.amount, currency = t.currency, method = t.method, \
     trace = t.trace, reference = t.reference, attempt = t.attempt, capture_attempt = t.capture, \
     version = t.version, tries = t.tries, again = t.again, look_ups = t.look_ups, barred = t.barred, \
     asked_again = t.asked, capture_asked_again = t.capture_asked, state = t.state, first_sent_at = t.first, \
     next_try_at = t.next, refusal_code = t.code, refusal_detail = t.detail, broken = t.broken \
     from unnest($1::uuid[], $2::int8[], $3::int2[], $4::text[], $5::text[], $6::uuid[], $7::text[], \
     $8::int4[], $9::int4[], $10::int8[], $11::int4[], $12::int4[], $13::int4[], $14::bool[], $15::bool[], \
     $16::bool[], $17::text[], $18::timestamptz[], $19::timestamptz[], $20::text[], $21::text[], $22::text[]) \
     as t(id, amount, slot, currency, method, trace, reference, attempt, capture, version, tries, again, look_ups, \
     barred, asked, capture_asked, state, first, next, code, detail, broken) where p.order_id = t.id";

/// Where a payment stands. What ends in -ing has a call under way whose outcome is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Authorising,
    Authorised,
    Refused,
    /// A tombstone: undone before it was done.
    Cancelled,
    Capturing,
    Captured,
    CaptureRefused,
    Voiding,
    Voided,
    Refunding,
    Refunded,
}

const NAMES: [(State, &str); 11] = [
    (State::Authorising, "authorising"),
    (State::Authorised, "authorised"),
    (State::Refused, "refused"),
    (State::Cancelled, "cancelled"),
    (State::Capturing, "capturing"),
    (State::Captured, "captured"),
    (State::CaptureRefused, "capture_refused"),
    (State::Voiding, "voiding"),
    (State::Voided, "voided"),
    (State::Refunding, "refunding"),
    (State::Refunded, "refunded"),
];

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        NAMES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    fn parse(text: &str) -> Option<Self> {
        NAMES.iter().find(|(_, name)| *name == text).map(|(state, _)| *state)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Payment {
    pub(crate) order: OrderId,
    pub(crate) amount: Money,
    pub(crate) method: String,
    pub(crate) trace: TraceParent,
    pub(crate) state: State,
    /// The gateway's id.
    pub(crate) reference: Option<String>,
    /// Of the authorisation; 0 where none was ever asked for.
    pub(crate) attempt: i32,
    pub(crate) capture_attempt: i32,
    /// Counts the events told.
    pub(crate) version: i64,
    pub(crate) intent: Intent,
    pub(crate) asked_again: bool,
    pub(crate) capture_asked_again: bool,
    /// The capture was undone before it was done.
    pub(crate) barred: bool,
    pub(crate) refusal: Option<Refusal>,
}

/// A command's attempt, as rows keep it.
pub(crate) fn attempt_of<T>(command: &Command<T>) -> i32 {
    i32::try_from(command.id.attempt).unwrap_or(i32::MAX)
}

impl Payment {
    /// Nothing was asked of the gateway.
    pub(crate) fn tombstone<T>(command: &Command<T>) -> Self {
        // ISO 4217's code for no currency, in case it is ever shown.
        let none = Currency::try_from("XXX".to_owned()).map(Money::zero);
        Self {
            order: command.id.order,
            amount: none.unwrap_or_else(|_| unreachable!("three capital letters")),
            method: String::new(),
            trace: command.context.trace,
            state: State::Cancelled,
            reference: None,
            attempt: attempt_of(command),
            capture_attempt: 0,
            version: 0,
            intent: Intent::default(),
            asked_again: false,
            capture_asked_again: false,
            barred: false,
            refusal: None,
        }
    }

    /// As it was, with a new call under way.
    pub(crate) fn intending(&self, state: State) -> Self {
        Self { state, intent: Intent::default(), ..self.clone() }
    }

    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let currency: Currency = parsed(row, "currency")?;
        let code: Option<String> = row.try_get("refusal_code")?;
        let detail: Option<String> = row.try_get("refusal_detail")?;
        let state: String = row.try_get("state")?;
        let order = OrderId(row.try_get("order_id")?);
        Ok(Self {
            order,
            amount: Money { minor: row.try_get("amount_minor")?, currency },
            method: row.try_get("method")?,
            trace: TraceParent::kept(row.try_get("trace")?, order),
            state: State::parse(&state).ok_or_else(|| sqlx::Error::Decode(state.into()))?,
            reference: row.try_get("reference")?,
            attempt: row.try_get("attempt")?,
            capture_attempt: row.try_get("capture_attempt")?,
            version: row.try_get("version")?,
            intent: Intent::from_row(row)?,
            asked_again: row.try_get("asked_again")?,
            capture_asked_again: row.try_get("capture_asked_again")?,
            barred: row.try_get("barred")?,
            refusal: code.map(|code| Refusal::new(code, detail.unwrap_or_default())),
        })
    }
}

impl Record for Payment {
    fn order(&self) -> OrderId {
        self.order
    }

    fn trace(&mut self) -> &mut TraceParent {
        &mut self.trace
    }

    fn intent(&self) -> &Intent {
        &self.intent
    }

    fn intent_mut(&mut self) -> &mut Intent {
        &mut self.intent
    }

    /// An undo's id stands beside its do's, as the gateway's keys must differ.
    fn command(&self) -> Option<CommandId> {
        let (step, attempt) = match self.state {
            State::Authorising => ("authorise", self.attempt),
            State::Capturing => ("capture", self.capture_attempt),
            State::Voiding => ("void", self.attempt),
            State::Refunding => ("refund", self.capture_attempt),
            _ => return None,
        };
        Some(CommandId::new(self.order, step, attempt.unsigned_abs()))
    }
}

impl FromRow<'_, PgRow> for Payment {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Self::read(row)
    }
}

/// A column that parses.
pub(crate) fn parsed<T: std::str::FromStr>(row: &PgRow, column: &str) -> Result<T, sqlx::Error> {
    let text: String = row.try_get(column)?;
    text.parse().map_err(|_| sqlx::Error::Decode(format!("{column}: {text}").into()))
}

/// The payments of these orders that there are.
pub(crate) async fn read(
    connection: &mut PgConnection,
    orders: &[OrderId],
) -> Result<Vec<Payment>, sqlx::Error> {
    let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
    sqlx::query_as(READ).bind(ids).fetch_all(connection).await
}

/// Inserts or updates, by the statement.
pub(crate) async fn put(
    connection: &mut PgConnection,
    statement: &'static str,
    rows: &[&Payment],
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    fn all<'a, T>(rows: &[&'a Payment], f: impl Fn(&'a Payment) -> T) -> Vec<T> {
        rows.iter().map(|row| f(row)).collect()
    }
    sqlx::query(statement)
        .bind(all(rows, |p| p.order.0))
        .bind(all(rows, |p| p.amount.minor))
        .bind(all(rows, |p| slot_of(&p.order.to_string()) as i16))
        .bind(all(rows, |p| p.amount.currency.as_str()))
        .bind(all(rows, |p| p.method.as_str()))
        .bind(all(rows, |p| trace_id(&p.trace)))
        .bind(all(rows, |p| p.reference.as_deref()))
        .bind(all(rows, |p| p.attempt))
        .bind(all(rows, |p| p.capture_attempt))
        .bind(all(rows, |p| p.version))
        .bind(all(rows, |p| p.intent.tries))
        .bind(all(rows, |p| p.intent.again))
        .bind(all(rows, |p| p.intent.look_ups))
        .bind(all(rows, |p| p.barred))
        .bind(all(rows, |p| p.asked_again))
        .bind(all(rows, |p| p.capture_asked_again))
        .bind(all(rows, |p| p.state.as_str()))
        .bind(all::<Option<Timestamp>>(rows, |p| p.intent.first_sent_at))
        .bind(all::<Option<Timestamp>>(rows, |p| p.intent.next_try_at))
        .bind(all(rows, |p| p.refusal.as_ref().map(|refusal| refusal.code.as_ref())))
        .bind(all(rows, |p| p.refusal.as_ref().map(|refusal| refusal.detail.as_str())))
        .bind(all(rows, |p| p.intent.broken.as_deref()))
        .execute(connection)
        .await?;
    Ok(())
}
