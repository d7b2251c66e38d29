//! The order's events that others may see, as a source of the bus: the event table is its own outbox.

use async_trait::async_trait;
use banyan_bus::Source;
use banyan_kernel::{Envelope, Json, OrderId, Timestamp, event_id};
use banyan_store::{Horizon, Page, Position, Signal, Store, StoreError};
use sqlx::FromRow;
use uuid::Uuid;

use crate::event::OrderEvent;

const PAGE: &str = "select e.epoch, e.xid::text::int8 as xid, e.seq, e.order_id, e.version, e.sequence, e.type as kind, \
     e.schema_version, e.at, e.payload, f.traceparent from order_event e \
     join order_event f on f.order_id = e.order_id and f.version = 1 \
     where e.sequence is not null and (e.epoch, e.xid, e.seq) > ($1, $2::text::xid8, $3) \
     and (e.epoch, e.xid) < ($4, $5::text::xid8) and e.slot = any($6) \
     order by e.epoch, e.xid, e.seq limit $7";
const OF_SUBJECT: &str = "select e.epoch, e.xid::text::int8 as xid, e.seq, e.order_id, e.version, e.sequence, e.type as kind, \
     e.schema_version, e.at, e.payload, f.traceparent from order_event e \
     join order_event f on f.order_id = e.order_id and f.version = 1 \
     where e.order_id = $1 and e.sequence > $2 order by e.version";

/// Orders, as told to others.
#[derive(Clone)]
pub struct OrdersSource {
    store: Store,
}

#[derive(FromRow)]
struct Row {
    epoch: i64,
    xid: i64,
    seq: i64,
    order_id: Uuid,
    version: i32,
    sequence: i16,
    kind: String,
    schema_version: i16,
    at: Timestamp,
    payload: Json,
    traceparent: Option<String>,
}

impl OrdersSource {
    /// On the module's schema.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

#[async_trait]
impl Source for OrdersSource {
    fn name(&self) -> &'static str {
        orders_api::NAME
    }

    async fn page(&self, after: Position, slots: &[u16], limit: u16) -> Result<Page, StoreError> {
        let horizon = Horizon::read(self.store.pool()).await?;
        let rows: Vec<Row> = sqlx::query_as(PAGE)
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
        let events = rows.into_iter().map(Row::told).collect::<Result<Vec<_>, _>>()?;
        let last = events.last().map(|(position, _)| *position);
        Ok(Page { end: if full { last.unwrap_or(after) } else { horizon.end().max(after) }, events })
    }

    async fn end(&self) -> Result<Position, StoreError> {
        Ok(Horizon::read(self.store.pool()).await?.end())
    }

    async fn of_subject(&self, subject: &str, after_sequence: i64) -> Result<Vec<Envelope>, StoreError> {
        let Ok(order) = subject.parse::<OrderId>() else { return Ok(Vec::new()) };
        let rows: Vec<Row> = sqlx::query_as(OF_SUBJECT)
            .bind(order.0)
            .bind(after_sequence)
            .fetch_all(self.store.pool())
            .await?;
        rows.into_iter().map(|row| row.told().map(|(_, envelope)| envelope)).collect()
    }

    fn signal(&self) -> Signal {
        self.store.signal().clone()
    }
}

impl Row {
    fn told(self) -> Result<(Position, Envelope), StoreError> {
        let position = Position { epoch: self.epoch, xid: self.xid, seq: self.seq };
        let order = OrderId(self.order_id);
        let unreadable =
            |why: &str| StoreError::Conflict(format!("event {} of order {order}: {why}", self.version));
        let event = OrderEvent::restore(&self.kind, self.schema_version.unsigned_abs(), self.payload.clone())
            .map_err(|error| unreadable(&error.to_string()))?;
        let (kind, data) = event.public(order).ok_or_else(|| unreadable("it is not public"))?;
        let trace =
            self.traceparent.as_deref().and_then(|text| text.parse::<banyan_kernel::TraceParent>().ok());
        let subject = order.to_string();
        let envelope = Envelope {
            id: event_id(orders_api::NAME, &subject, self.sequence.into()),
            kind: kind.to_owned(),
            source: orders_api::NAME.to_owned(),
            subject,
            time: self.at,
            schema_version: self.schema_version.unsigned_abs(),
            sequence: self.sequence.into(),
            causation: format!("{order}/{}", self.version),
            actor: self.payload["actor"].as_str().unwrap_or_default().to_owned(),
            traceparent: trace.ok_or_else(|| unreadable("its order has no trace"))?,
            data,
        };
        Ok((position, envelope))
    }
}
