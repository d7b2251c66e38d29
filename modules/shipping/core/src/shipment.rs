//! The row: one shipment, what it came to, and the call under way.

use banyan_kernel::{Command, CommandId, CustomerId, OrderId, Refusal, Timestamp, TraceParent, slot_of};
use banyan_net::outbound::{Intent, Record, trace_id};
use sqlx::{FromRow, PgConnection, Row, postgres::PgRow, types::Uuid};

pub(crate) const READ: &str = "select * from shipment where order_id = any($1) order by order_id";

pub(crate) const INSERT: &str = "insert into shipment (order_id, customer_id, items, slot, trace, carrier_id, tracking, \
     attempt, version, tries, again, look_ups, asked_again, state, orders_seen, first_sent_at, next_try_at, \
     refusal_code, refusal_detail, reason, broken, promised_by) \
     select * from unnest($1::uuid[], $2::uuid[], $3::int8[], $4::int2[], $5::uuid[], $6::text[], $7::text[], \
     $8::int4[], $9::int8[], $10::int4[], $11::int4[], $12::int4[], $13::bool[], $14::text[], $15::int8[], \
     $16::timestamptz[], $17::timestamptz[], $18::text[], $19::text[], $20::text[], $21::text[], $22::timestamptz[])";

/// An arrival is of one parcel: another booking has none. The slot is the order's and stays; it is bound, as both statements are bound alike.
pub(crate) const UPDATE: &str = "update shipment s set customer_id = t.customer, items = t.items, trace = t.trace, \
     carrier_id = t.carrier, tracking = t.tracking, attempt = t.attempt, version = t.version, tries = t.tries, \
     again = t.again, look_ups = t.look_ups, asked_again = t.asked, state = t.state, orders_seen = t.seen, \
     first_sent_at = t.first, next_try_at = t.next, refusal_code = t.code, refusal_detail = t.detail, \
     reason = t.reason, broken = t.broken, promised_by = t.promised, \
     arrival = case when s.carrier_id = t.carrier then s.arrival end, \
     arrived_at = case when s.carrier_id = t.carrier then s.arrived_at end \
     from unnest($1::uuid[], $2::uuid[], $3::int8[], $4::int2[], $5::uuid[], $6::text[], $7::text[], \
     $8::int4[], $9::int8[], $10::int4[], $11::int4[], $12::int4[], $13::bool[], $14::text[], $15::int8[], \
     $16::timestamptz[], $17::timestamptz[], $18::text[], $19::text[], $20::text[], $21::text[], $22::timestamptz[]) \
     as t(id, customer, items, slot, trace, carrier, tracking, attempt, version, tries, again, look_ups, asked, \
     state, seen, first, next, code, detail, reason, broken, promised) where s.order_id = t.id";

/// Where a shipment stands. What ends in -ing has a call under way whose outcome is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Booking,
    Booked,
    Refused,
    Cancelling,
    /// Given up; without a tracking number a tombstone: undone before it was done.
    Cancelled,
    Dispatched,
}

const NAMES: [(State, &str); 6] = [
    (State::Booking, "booking"),
    (State::Booked, "booked"),
    (State::Refused, "refused"),
    (State::Cancelling, "cancelling"),
    (State::Cancelled, "cancelled"),
    (State::Dispatched, "dispatched"),
];

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        NAMES.iter().find(|(state, _)| *state == self).map_or("", |(_, name)| name)
    }

    fn parse(text: &str) -> Option<Self> {
        NAMES.iter().find(|(_, name)| *name == text).map(|(state, _)| *state)
    }
}

/// What the carrier calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Booking {
    pub(crate) id: String,
    pub(crate) tracking: String,
    /// By when it says that the parcel is there.
    pub(crate) promised_by: Option<Timestamp>,
}

/// How a parcel's way ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Delivered,
    Returned,
}

impl Arrival {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Returned => "returned",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Delivered, Self::Returned].into_iter().find(|arrival| arrival.as_str() == text)
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shipment {
    pub(crate) order: OrderId,
    pub(crate) customer: Option<CustomerId>,
    /// How many pieces are in the parcel.
    pub(crate) items: i64,
    pub(crate) trace: TraceParent,
    pub(crate) state: State,
    pub(crate) booking: Option<Booking>,
    /// Where its way ended, and when. Only tracking writes it.
    pub(crate) arrival: Option<(Arrival, Timestamp)>,
    pub(crate) attempt: i32,
    /// Counts the events told.
    pub(crate) version: i64,
    pub(crate) intent: Intent,
    pub(crate) asked_again: bool,
    /// The last of orders' events applied; none where no booking said how many there were.
    pub(crate) orders_seen: Option<i64>,
    pub(crate) refusal: Option<Refusal>,
    /// Why it was given up.
    pub(crate) reason: Option<String>,
}

/// A command's attempt, as rows keep it.
pub(crate) fn attempt_of<T>(command: &Command<T>) -> i32 {
    i32::try_from(command.id.attempt).unwrap_or(i32::MAX)
}

impl Shipment {
    /// Nothing was asked of the carrier.
    pub(crate) fn tombstone<T>(command: &Command<T>) -> Self {
        Self {
            order: command.id.order,
            customer: None,
            items: 0,
            trace: command.context.trace,
            state: State::Cancelled,
            booking: None,
            arrival: None,
            attempt: attempt_of(command),
            version: 0,
            intent: Intent::default(),
            asked_again: false,
            orders_seen: None,
            refusal: None,
            reason: None,
        }
    }

    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let state: String = row.try_get("state")?;
        let code: Option<String> = row.try_get("refusal_code")?;
        let detail: Option<String> = row.try_get("refusal_detail")?;
        let id: Option<String> = row.try_get("carrier_id")?;
        let tracking: Option<String> = row.try_get("tracking")?;
        let promised_by = row.try_get("promised_by")?;
        let arrival: Option<String> = row.try_get("arrival")?;
        let arrival = arrival.map(|text| {
            let arrival = Arrival::parse(&text).ok_or_else(|| sqlx::Error::Decode(text.into()))?;
            Ok::<_, sqlx::Error>((arrival, row.try_get("arrived_at")?))
        });
        let arrival = arrival.transpose()?;
        let order = OrderId(row.try_get("order_id")?);
        Ok(Self {
            order,
            customer: row.try_get::<Option<Uuid>, _>("customer_id")?.map(CustomerId),
            items: row.try_get("items")?,
            trace: TraceParent::kept(row.try_get("trace")?, order),
            state: State::parse(&state).ok_or_else(|| sqlx::Error::Decode(state.into()))?,
            booking: id.zip(tracking).map(|(id, tracking)| Booking { id, tracking, promised_by }),
            arrival,
            attempt: row.try_get("attempt")?,
            version: row.try_get("version")?,
            intent: Intent::from_row(row)?,
            asked_again: row.try_get("asked_again")?,
            orders_seen: row.try_get("orders_seen")?,
            refusal: code.map(|code| Refusal::new(code, detail.unwrap_or_default())),
            reason: row.try_get("reason")?,
        })
    }
}

impl Record for Shipment {
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

    /// An undo's id stands beside its do's, as the carrier's keys must differ.
    fn command(&self) -> Option<CommandId> {
        let step = match self.state {
            State::Booking => "book",
            State::Cancelling => "cancel",
            _ => return None,
        };
        Some(CommandId::new(self.order, step, self.attempt.unsigned_abs()))
    }
}

impl FromRow<'_, PgRow> for Shipment {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Self::read(row)
    }
}

/// The shipments of these orders that there are.
pub(crate) async fn read(
    connection: &mut PgConnection,
    orders: &[OrderId],
) -> Result<Vec<Shipment>, sqlx::Error> {
    let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
    sqlx::query_as(READ).bind(ids).fetch_all(connection).await
}

/// Inserts or updates, by the statement.
pub(crate) async fn put(
    connection: &mut PgConnection,
    statement: &'static str,
    rows: &[&Shipment],
) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    fn all<'a, T>(rows: &[&'a Shipment], f: impl Fn(&'a Shipment) -> T) -> Vec<T> {
        rows.iter().map(|row| f(row)).collect()
    }
    sqlx::query(statement)
        .bind(all(rows, |s| s.order.0))
        .bind(all(rows, |s| s.customer.map(|customer| customer.0)))
        .bind(all(rows, |s| s.items))
        .bind(all(rows, |s| slot_of(&s.order.to_string()) as i16))
        .bind(all(rows, |s| trace_id(&s.trace)))
        .bind(all(rows, |s| s.booking.as_ref().map(|booking| booking.id.as_str())))
        .bind(all(rows, |s| s.booking.as_ref().map(|booking| booking.tracking.as_str())))
        .bind(all(rows, |s| s.attempt))
        .bind(all(rows, |s| s.version))
        .bind(all(rows, |s| s.intent.tries))
        .bind(all(rows, |s| s.intent.again))
        .bind(all(rows, |s| s.intent.look_ups))
        .bind(all(rows, |s| s.asked_again))
        .bind(all(rows, |s| s.state.as_str()))
        .bind(all(rows, |s| s.orders_seen))
        .bind(all::<Option<Timestamp>>(rows, |s| s.intent.first_sent_at))
        .bind(all::<Option<Timestamp>>(rows, |s| s.intent.next_try_at))
        .bind(all(rows, |s| s.refusal.as_ref().map(|refusal| refusal.code.as_ref())))
        .bind(all(rows, |s| s.refusal.as_ref().map(|refusal| refusal.detail.as_str())))
        .bind(all(rows, |s| s.reason.as_deref()))
        .bind(all(rows, |s| s.intent.broken.as_deref()))
        .bind(all::<Option<Timestamp>>(rows, |s| s.booking.as_ref().and_then(|booking| booking.promised_by)))
        .execute(connection)
        .await?;
    Ok(())
}
