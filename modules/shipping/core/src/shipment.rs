//! The row: one shipment, what it came to, and the call under way.

use banyan_kernel::{
    Command, CommandId, CustomerId, OrderId, Place, Refusal, Timestamp, TraceParent, slot_of,
};
use banyan_net::outbound::{Intent, Record, trace_id};
use sqlx::{
    FromRow, PgConnection, Row,
    postgres::PgRow,
    types::{Json as SqlJson, Uuid},
};

use crate::{
    carrier::Booked,
    parcel::{Arrival, Parcel, further},
};

pub(crate) const READ: &str = "select * from shipment where order_id = any($1) order by order_id";

pub(crate) const INSERT: &str = "insert into shipment (order_id, customer_id, items, slot, trace, carrier_id, tracking, \
     attempt, version, tries, again, look_ups, asked_again, state, orders_seen, first_sent_at, next_try_at, \
     refusal_code, refusal_detail, reason, broken, promised_by, place, further, arrival, arrived_at) \
     select id, customer, items, slot, trace, carrier, tracking, attempt, version, tries, again, look_ups, asked, \
     state, seen, first, next, code, detail, reason, broken, promised, place, further::json, arrival, arrived \
     from unnest($1::uuid[], $2::uuid[], $3::int8[], $4::int2[], $5::uuid[], $6::text[], $7::text[], \
     $8::int4[], $9::int8[], $10::int4[], $11::int4[], $12::int4[], $13::bool[], $14::text[], $15::int8[], \
     $16::timestamptz[], $17::timestamptz[], $18::text[], $19::text[], $20::text[], $21::text[], $22::timestamptz[], \
     $23::text[], $24::text[], $25::text[], $26::timestamptz[]) \
     as t(id, customer, items, slot, trace, carrier, tracking, attempt, version, tries, again, look_ups, asked, \
     state, seen, first, next, code, detail, reason, broken, promised, place, further, arrival, arrived)";

/// The slot is the order's and stays; it is bound, as both statements are bound alike.
pub(crate) const UPDATE: &str = "update shipment s set customer_id = t.customer, items = t.items, trace = t.trace, \
     carrier_id = t.carrier, tracking = t.tracking, attempt = t.attempt, version = t.version, tries = t.tries, \
     again = t.again, look_ups = t.look_ups, asked_again = t.asked, state = t.state, orders_seen = t.seen, \
     first_sent_at = t.first, next_try_at = t.next, refusal_code = t.code, refusal_detail = t.detail, \
     reason = t.reason, broken = t.broken, promised_by = t.promised, place = t.place, further = t.further::json, \
     arrival = t.arrival, arrived_at = t.arrived \
     from unnest($1::uuid[], $2::uuid[], $3::int8[], $4::int2[], $5::uuid[], $6::text[], $7::text[], \
     $8::int4[], $9::int8[], $10::int4[], $11::int4[], $12::int4[], $13::bool[], $14::text[], $15::int8[], \
     $16::timestamptz[], $17::timestamptz[], $18::text[], $19::text[], $20::text[], $21::text[], $22::timestamptz[], \
     $23::text[], $24::text[], $25::text[], $26::timestamptz[]) \
     as t(id, customer, items, slot, trace, carrier, tracking, attempt, version, tries, again, look_ups, asked, \
     state, seen, first, next, code, detail, reason, broken, promised, place, further, arrival, arrived) \
     where s.order_id = t.id";

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
    /// By when it says that the parcels are there.
    pub(crate) promised_by: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Shipment {
    pub(crate) order: OrderId,
    pub(crate) customer: Option<CustomerId>,
    /// One at least, once any were wanted.
    pub(crate) parcels: Vec<Parcel>,
    pub(crate) trace: TraceParent,
    pub(crate) state: State,
    pub(crate) booking: Option<Booking>,
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
            parcels: Vec::new(),
            trace: command.context.trace,
            state: State::Cancelled,
            booking: None,
            attempt: attempt_of(command),
            version: 0,
            intent: Intent::default(),
            asked_again: false,
            orders_seen: None,
            refusal: None,
            reason: None,
        }
    }

    /// Takes over what the carrier calls it and its parcels, of which there are as many.
    pub(crate) fn take(&mut self, booked: Booked) {
        self.booking = Some(Booking { id: booked.id, promised_by: booked.promised_by });
        for (parcel, tracking) in self.parcels.iter_mut().zip(booked.tracking) {
            parcel.tracking = Some(tracking);
        }
    }

    /// Where the first parcel is packed, where that is not `main`.
    fn place(&self) -> Option<&str> {
        let place = self.parcels.first().map(|parcel| parcel.place.as_str());
        place.filter(|place| *place != Place::MAIN)
    }

    /// What the customer follows its parcels by.
    pub(crate) fn tracking(&self) -> Vec<String> {
        self.parcels.iter().filter_map(|parcel| parcel.tracking.clone()).collect()
    }

    /// Whether the customer has all of it.
    pub(crate) fn is_delivered(&self) -> bool {
        self.parcels.iter().all(|parcel| parcel.arrival == Some(Arrival::Delivered))
    }

    fn read(row: &PgRow) -> Result<Self, sqlx::Error> {
        let state: String = row.try_get("state")?;
        let code: Option<String> = row.try_get("refusal_code")?;
        let detail: Option<String> = row.try_get("refusal_detail")?;
        let id: Option<String> = row.try_get("carrier_id")?;
        let promised_by = row.try_get("promised_by")?;
        let order = OrderId(row.try_get("order_id")?);
        Ok(Self {
            order,
            customer: row.try_get::<Option<Uuid>, _>("customer_id")?.map(CustomerId),
            parcels: parcels(row)?,
            trace: TraceParent::kept(row.try_get("trace")?, order),
            state: State::parse(&state).ok_or_else(|| sqlx::Error::Decode(state.into()))?,
            booking: id.map(|id| Booking { id, promised_by }),
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

/// The first is in columns, and of nothing where nothing was ever wanted.
fn parcels(row: &PgRow) -> Result<Vec<Parcel>, sqlx::Error> {
    let items: i64 = row.try_get("items")?;
    if items == 0 {
        return Ok(Vec::new());
    }
    let place: Option<String> = row.try_get("place")?;
    let place = place.map(Place::try_from).transpose().map_err(|error| sqlx::Error::Decode(error.into()))?;
    let arrival: Option<String> = row.try_get("arrival")?;
    let known = |text: String| Arrival::parse(&text).ok_or_else(|| sqlx::Error::Decode(text.into()));
    let first = Parcel {
        place: place.unwrap_or_default(),
        items,
        tracking: row.try_get("tracking")?,
        arrival: arrival.map(known).transpose()?,
        at: row.try_get("arrived_at")?,
    };
    let further: Option<SqlJson<Vec<Parcel>>> = row.try_get("further")?;
    Ok([first].into_iter().chain(further.map(|further| further.0).unwrap_or_default()).collect())
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
        .bind(all(rows, |s| s.parcels.first().map_or(0, |parcel| parcel.items)))
        .bind(all(rows, |s| slot_of(&s.order.to_string()) as i16))
        .bind(all(rows, |s| trace_id(&s.trace)))
        .bind(all(rows, |s| s.booking.as_ref().map(|booking| booking.id.as_str())))
        .bind(all(rows, |s| s.parcels.first().and_then(|parcel| parcel.tracking.as_deref())))
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
        .bind(all(rows, |s| s.place()))
        .bind(all(rows, |s| further(&s.parcels)))
        .bind(all(rows, |s| s.parcels.first().and_then(|parcel| parcel.arrival).map(Arrival::as_str)))
        .bind(all::<Option<Timestamp>>(rows, |s| s.parcels.first().and_then(|parcel| parcel.at)))
        .execute(connection)
        .await?;
    Ok(())
}
