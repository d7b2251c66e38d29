//! The orders' events as sources of the bus: the event table is its own outbox. What others may see, and, for this module's own
//! read models, everything.

use async_trait::async_trait;
use banyan_bus::Source;
use banyan_kernel::{Envelope, Json, OrderId, Timestamp, event_id};
use banyan_store::{Horizon, Page, Place, Position, Signal, Store, StoreError};
use sqlx::FromRow;
use uuid::Uuid;

use crate::event::OrderEvent;

/// The page first, by the index that has its order, then its orders' traces: joined at once, a planner without statistics (a young
/// shop's) takes the order's key as its way in, and reads the whole table for each page.
const PAGE: &str = "with page as materialized (select epoch, xid, seq, order_id, version, sequence, type, schema_version, at, payload \
     from order_event where sequence is not null and (epoch, xid, seq) > ($1, $2::text::xid8, $3) \
     and (epoch, xid) < ($4, $5::text::xid8) and slot = any($6) order by epoch, xid, seq limit $7) \
     select e.epoch, e.xid::text::int8 as xid, e.seq, e.order_id, e.version, e.sequence, e.type as kind, \
     e.schema_version, e.at, e.payload, f.traceparent from page e \
     join order_event f on f.order_id = e.order_id and f.version = 1 order by e.epoch, e.xid, e.seq";
const OF_SUBJECT: &str = "select e.epoch, e.xid::text::int8 as xid, e.seq, e.order_id, e.version, e.sequence, e.type as kind, \
     e.schema_version, e.at, e.payload, f.traceparent from order_event e \
     join order_event f on f.order_id = e.order_id and f.version = 1 \
     where e.order_id = $1 and e.sequence > $2 order by e.version";

const HISTORY_PAGE: &str = "with page as materialized (select epoch, xid, seq, order_id, version, sequence, type, schema_version, at, payload \
     from order_event where (epoch, xid, seq) > ($1, $2::text::xid8, $3) \
     and (epoch, xid) < ($4, $5::text::xid8) and slot = any($6) order by epoch, xid, seq limit $7) \
     select e.epoch, e.xid::text::int8 as xid, e.seq, e.order_id, e.version, e.sequence, e.type as kind, \
     e.schema_version, e.at, e.payload, f.traceparent from page e \
     join order_event f on f.order_id = e.order_id and f.version = 1 order by e.epoch, e.xid, e.seq";
const HISTORY_OF_SUBJECT: &str = "select e.epoch, e.xid::text::int8 as xid, e.seq, e.order_id, e.version, e.sequence, e.type as kind, \
     e.schema_version, e.at, e.payload, f.traceparent from order_event e \
     join order_event f on f.order_id = e.order_id and f.version = 1 \
     where e.order_id = $1 and e.version > $2 order by e.version";

/// The name under which the bus carries the whole history; it never leaves the module.
pub const HISTORY: &str = "orders.history";

/// Which of an order's events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    /// Those that others may see, as the contract has them; their sequence counts what is told.
    Told,
    /// All, as they are stored; their sequence is the version.
    All,
}

/// Orders, as told to others, or as their own module sees them.
#[derive(Clone)]
pub struct OrdersSource {
    store: Store,
    which: Which,
}

#[derive(FromRow)]
struct Row {
    epoch: i64,
    xid: i64,
    seq: i64,
    order_id: Uuid,
    version: i32,
    sequence: Option<i16>,
    kind: String,
    schema_version: i16,
    at: Timestamp,
    payload: Json,
    traceparent: Option<String>,
}

impl OrdersSource {
    /// What is told, on the module's schema.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store, which: Which::Told }
    }

    /// Every event, for this module's own read models.
    #[must_use]
    pub fn history(store: Store) -> Self {
        Self { store, which: Which::All }
    }

    fn all(&self, rows: Vec<Row>) -> Result<Vec<(Place, Envelope)>, StoreError> {
        rows.into_iter().map(|row| row.told(self.which)).collect()
    }
}

#[async_trait]
impl Source for OrdersSource {
    fn name(&self) -> &'static str {
        match self.which {
            Which::Told => orders_api::NAME,
            Which::All => HISTORY,
        }
    }

    async fn page(&self, after: Position, slots: &[u16], limit: u16) -> Result<Page, StoreError> {
        let horizon = Horizon::read(self.store.pool()).await?;
        let page = if self.which == Which::Told { PAGE } else { HISTORY_PAGE };
        let rows: Vec<Row> = sqlx::query_as(page)
            .bind(after.epoch)
            .bind(after.xid.to_string())
            .bind(after.seq)
            .bind(horizon.epoch)
            .bind(horizon.xid.to_string())
            .bind(slots.iter().map(|slot| *slot as i16).collect::<Vec<_>>())
            .bind(i64::from(limit))
            .fetch_all(self.store.pool())
            .await?;
        let full = rows.len() == usize::from(limit);
        let events = self.all(rows)?;
        let last = events.last().map(|(place, _)| place.position);
        Ok(Page { end: if full { last.unwrap_or(after) } else { horizon.end().max(after) }, events })
    }

    async fn end(&self) -> Result<Position, StoreError> {
        Ok(Horizon::read(self.store.pool()).await?.end())
    }

    async fn of_subject(&self, subject: &str, after_sequence: i64) -> Result<Vec<Envelope>, StoreError> {
        let Ok(order) = subject.parse::<OrderId>() else { return Ok(Vec::new()) };
        let of_subject = if self.which == Which::Told { OF_SUBJECT } else { HISTORY_OF_SUBJECT };
        let rows: Vec<Row> = sqlx::query_as(of_subject)
            .bind(order.0)
            .bind(after_sequence)
            .fetch_all(self.store.pool())
            .await?;
        Ok(self.all(rows)?.into_iter().map(|(_, envelope)| envelope).collect())
    }

    fn signal(&self) -> Signal {
        self.store.signal().clone()
    }
}

impl Row {
    fn told(self, which: Which) -> Result<(Place, Envelope), StoreError> {
        let position = Position { epoch: self.epoch, xid: self.xid, seq: self.seq };
        let order = OrderId(self.order_id);
        let unreadable =
            |why: &str| StoreError::Conflict(format!("event {} of order {order}: {why}", self.version));
        let trace =
            self.traceparent.as_deref().and_then(|text| text.parse::<banyan_kernel::TraceParent>().ok());
        let subject = order.to_string();
        let actor = self.payload["actor"].as_str().unwrap_or_default().to_owned();
        let (source, sequence, kind, data) = match which {
            Which::All => (HISTORY, i64::from(self.version), self.kind, self.payload),
            Which::Told => {
                let version = self.schema_version.unsigned_abs();
                let event = OrderEvent::restore(&self.kind, version, self.payload)
                    .map_err(|error| unreadable(&error.to_string()))?;
                let (kind, data) = event.public(order).ok_or_else(|| unreadable("it is not public"))?;
                let sequence = self.sequence.ok_or_else(|| unreadable("it has no number"))?;
                (orders_api::NAME, i64::from(sequence), kind.to_owned(), data)
            }
        };
        let envelope = Envelope {
            id: event_id(source, &subject, sequence),
            kind,
            source: source.to_owned(),
            subject,
            time: self.at,
            schema_version: self.schema_version.unsigned_abs(),
            sequence,
            causation: format!("{order}/{}", self.version),
            actor,
            traceparent: trace.ok_or_else(|| unreadable("its order has no trace"))?,
            data,
        };
        Ok((position.into(), envelope))
    }
}
