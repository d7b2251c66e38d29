//! Orders in PostgreSQL.

use std::collections::{BTreeMap, HashMap, HashSet};

use async_trait::async_trait;
use banyan_kernel::{Json, OrderId, SLOTS, Timestamp, slot_of};
use banyan_store::{Locks, Position, Store, StoreError, Write, by_halves};
use sqlx::{FromRow, PgConnection, PgPool, types::Json as SqlJson};
use uuid::Uuid;

use crate::{
    BACK_OFF_MAX,
    chain::{self, Hash, Link},
    event::{OrderEvent, SCHEMA_VERSION},
    log::{Kept, Loaded, OrderLog, Save},
    order::{Order, Recorded},
};

/// A due time further away than the largest back-off comes from a clock that was wrong: due now.
const DUE: &str = "select order_id from orders where open and slot = any($1) \
     and (due_at <= $2 or due_at > $3) and order_id <> all($4) order by placed_at limit $5";
const LOAD_ROWS: &str =
    "select order_id, version, hash, asked, waiting, due_at from orders where order_id = any($1)";
const LOAD_EVENTS: &str = "select order_id, version, sequence, type as kind, schema_version, payload, hash, at, traceparent \
     from order_event where order_id = any($1) order by order_id, version";
const LOAD_EVENTS_AT: &str = "select order_id, version, sequence, type as kind, schema_version, payload, hash, at, traceparent \
     from order_event where order_id = any($1) and (epoch, xid, seq) <= ($2, $3::text::xid8, $4) order by order_id, version";
const VERSIONS: &str = "select order_id, version from orders where order_id = any($1)";
pub(crate) const INSERT_EVENTS: &str = "insert into order_event (order_id, version, sequence, type, schema_version, payload, \
     hash, at, traceparent, slot, epoch) \
     select o, version, sequence, kind, $9, payload, hash, at, trace, slot, $10 \
     from unnest($1::uuid[], $2::int4[], $3::int2[], $4::text[], $5::jsonb[], $6::bytea[], $7::timestamptz[], \
     $8::text[], $11::int2[]) as t(o, version, sequence, kind, payload, hash, at, trace, slot)";
const UPDATE_ROWS: &str = "update orders set state = t.state, version = t.version, told = t.told, hash = t.hash, \
     open = t.open, due_at = t.due, asked = t.asked, waiting = t.waiting \
     from unnest($1::uuid[], $2::text[], $3::int4[], $4::int2[], $5::bytea[], $6::bool[], $7::timestamptz[], \
     $8::int4[], $9::text[]) as t(o, state, version, told, hash, open, due, asked, waiting) where order_id = t.o";

const PUT_OFF: &str =
    "update orders set due_at = $2, asked = asked + 1, waiting = $3 where order_id = any($1) and open";

/// Orders in the module's schema.
#[derive(Clone)]
pub struct PostgresLog {
    store: Store,
}

#[derive(FromRow)]
struct OrderRow {
    order_id: Uuid,
    version: i32,
    hash: Vec<u8>,
    asked: i32,
    waiting: Option<String>,
    due_at: Option<Timestamp>,
}

#[derive(Clone, FromRow)]
pub(crate) struct EventRow {
    pub(crate) order_id: Uuid,
    pub(crate) version: i32,
    /// Counts those that are told.
    pub(crate) sequence: Option<i16>,
    pub(crate) kind: String,
    pub(crate) schema_version: i16,
    pub(crate) payload: Json,
    pub(crate) hash: Vec<u8>,
    pub(crate) at: Timestamp,
    pub(crate) traceparent: Option<String>,
}

/// Why a stream is not what was written.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum BrokenChain {
    /// The versions are not 1, 2, 3, ...
    #[error("event {expected} is missing")]
    Missing { expected: i64 },
    /// A hash does not fit its event and the one before.
    #[error("event {version} was changed")]
    Changed { version: i64 },
    /// It is not told, or as another than it is.
    #[error("event {version} is not told under its number")]
    Numbered { version: i64 },
    /// The stream ends before, or otherwise than, its row says.
    #[error("the tail is cut off after event {version}")]
    Tail { version: i64 },
    /// An event that this program cannot read.
    #[error("{0}")]
    Unreadable(String),
}

impl PostgresLog {
    /// On the module's schema.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self { store }
    }
}

#[async_trait]
impl OrderLog for PostgresLog {
    async fn due(
        &self,
        slots: &[u16],
        now: Timestamp,
        except: &HashSet<OrderId>,
        limit: u16,
    ) -> Result<Vec<OrderId>, StoreError> {
        debug_assert!(slots.iter().all(|slot| *slot < SLOTS));
        let rows: Vec<Uuid> = sqlx::query_scalar(DUE)
            .bind(slots.iter().map(|slot| *slot as i16).collect::<Vec<_>>())
            .bind(now)
            .bind(now + BACK_OFF_MAX)
            .bind(except.iter().map(|order| order.0).collect::<Vec<_>>())
            .bind(i64::from(limit))
            .fetch_all(self.store.pool())
            .await?;
        Ok(rows.into_iter().map(OrderId).collect())
    }

    async fn load(&self, orders: &[OrderId]) -> Result<Vec<Loaded>, StoreError> {
        let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
        let rows: Vec<OrderRow> = sqlx::query_as(LOAD_ROWS).bind(&ids).fetch_all(self.store.pool()).await?;
        let mut streams = streams(self.store.pool(), &ids).await?;
        let loaded = rows.into_iter().filter_map(|row| {
            let stream = streams.remove(&OrderId(row.order_id)).unwrap_or_default();
            restore(row, stream)
        });
        Ok(loaded.collect())
    }

    async fn save(&self, batch: &[Save]) -> Result<Vec<Kept>, StoreError> {
        match self.save_all(batch).await {
            Err(StoreError::Statement(_)) => self.save_by_halves(batch).await,
            kept => kept,
        }
    }

    async fn put_off(&self, orders: &[OrderId], until: Timestamp, why: &str) -> Result<(), StoreError> {
        let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
        let mut write = self.begin(orders).await?;
        sqlx::query(PUT_OFF).bind(ids).bind(until).bind(why).execute(write.connection()).await?;
        write.commit().await
    }
}

impl PostgresLog {
    async fn begin(&self, orders: &[OrderId]) -> Result<Write, StoreError> {
        self.store.begin(&Locks::none().and("order", orders.iter().map(OrderId::to_string))).await
    }

    async fn save_by_halves(&self, batch: &[Save]) -> Result<Vec<Kept>, StoreError> {
        let write = |batch: Vec<Save>| {
            Box::pin(async move { self.save_all(&batch).await }) as futures::future::BoxFuture<'_, _>
        };
        let saved = by_halves(batch.to_vec(), &write).await.into_iter();
        let kept = saved.map(|kept| match kept {
            Err(StoreError::Statement(error)) => Ok(Kept::Refused(error.to_string())),
            kept => kept,
        });
        kept.collect()
    }

    async fn save_all(&self, batch: &[Save]) -> Result<Vec<Kept>, StoreError> {
        let orders: Vec<OrderId> = batch.iter().map(|save| save.order.id).collect();
        let mut write = self.begin(&orders).await?;
        let ids: Vec<Uuid> = batch.iter().map(|save| save.order.id.0).collect();
        let versions: Vec<(Uuid, i32)> =
            sqlx::query_as(VERSIONS).bind(&ids).fetch_all(write.connection()).await?;
        let versions: HashMap<Uuid, i64> = versions.into_iter().map(|(id, v)| (id, i64::from(v))).collect();
        let fits = |save: &Save| versions.get(&save.order.id.0) == Some(&save.expected);
        let kept: Vec<&Save> = batch.iter().filter(|save| fits(save)).collect();
        if kept.is_empty() {
            write.abandon().await;
        } else {
            let mut events = Vec::new();
            for save in &kept {
                events.extend(save.events.iter().map(|event| (&save.order, event)));
            }
            insert_events(&mut write, &events).await?;
            update_rows(write.connection(), &kept).await?;
            write.commit().await?;
        }
        let kept = |save: &Save| if fits(save) { Kept::Kept } else { Kept::Outrun };
        Ok(batch.iter().map(kept).collect())
    }
}

/// The events of these orders, each stream in order of its versions.
pub(crate) async fn streams(
    pool: &PgPool,
    ids: &[Uuid],
) -> Result<BTreeMap<OrderId, Vec<EventRow>>, StoreError> {
    Ok(by_order(sqlx::query_as(LOAD_EVENTS).bind(ids).fetch_all(pool).await?))
}

/// As [`streams`], up to a position.
pub(crate) async fn streams_at(
    connection: &mut PgConnection,
    ids: &[Uuid],
    at: Position,
) -> Result<BTreeMap<OrderId, Vec<EventRow>>, StoreError> {
    let rows = sqlx::query_as(LOAD_EVENTS_AT)
        .bind(ids)
        .bind(at.epoch)
        .bind(at.xid.to_string())
        .bind(at.seq)
        .fetch_all(connection)
        .await?;
    Ok(by_order(rows))
}

fn by_order(rows: Vec<EventRow>) -> BTreeMap<OrderId, Vec<EventRow>> {
    let mut streams: BTreeMap<OrderId, Vec<EventRow>> = BTreeMap::new();
    for row in rows {
        streams.entry(OrderId(row.order_id)).or_default().push(row);
    }
    streams
}

fn restore(row: OrderRow, stream: Vec<EventRow>) -> Option<Loaded> {
    let id = OrderId(row.order_id);
    match fold(id, stream).and_then(|order| tail_fits(order, i64::from(row.version), &row.hash)) {
        Ok(order) => {
            let asked = row.asked.unsigned_abs();
            Some(Loaded { order, asked, waiting: row.waiting, due_at: row.due_at })
        }
        Err(error) => {
            tracing::error!(order = %id, %error, "the order's history is not what was written; see `banyan audit`");
            None
        }
    }
}

/// The row keeps the head's version and hash, so that a tail cut off shows. A head read before the events
/// may be older than they are: the driver's save then meets the newer version, so only less is an error.
fn tail_fits(order: Order, version: i64, hash: &[u8]) -> Result<Order, BrokenChain> {
    let fits = order.version > version || (order.version == version && order.hash == *hash);
    if fits { Ok(order) } else { Err(BrokenChain::Tail { version: order.version }) }
}

/// Verifies a stream, then folds it.
pub(crate) fn fold(id: OrderId, stream: Vec<EventRow>) -> Result<Order, BrokenChain> {
    let mut order: Option<Order> = None;
    for row in stream {
        let previous = order.as_ref().map_or(chain::START, |order| order.hash);
        let expected = order.as_ref().map_or(1, |order| order.version + 1);
        let hash = verify(id, expected, &previous, &row)?;
        let EventRow { sequence, kind, schema_version, payload, at, traceparent, .. } = row;
        let event = OrderEvent::restore(&kind, schema_version.unsigned_abs(), payload)
            .map_err(|error| BrokenChain::Unreadable(error.to_string()))?;
        let is_told = event.is_public();
        match &mut order {
            Some(order) => order.apply(&event, at, hash),
            None => order = Some(first(id, event, at, traceparent.as_deref(), hash)?),
        }
        let told = order.as_ref().map(|order| order.told).filter(|_| is_told);
        if sequence.map(i64::from) != told {
            return Err(BrokenChain::Numbered { version: expected });
        }
    }
    order.ok_or(BrokenChain::Missing { expected: 1 })
}

fn verify(id: OrderId, expected: i64, previous: &Hash, row: &EventRow) -> Result<Hash, BrokenChain> {
    let version = i64::from(row.version);
    if version != expected {
        return Err(BrokenChain::Missing { expected });
    }
    let link = Link {
        previous,
        order: id,
        version,
        kind: &row.kind,
        schema_version: row.schema_version.unsigned_abs(),
        at: row.at,
        payload: &row.payload,
    };
    let hash = link.hash();
    if row.hash == hash { Ok(hash) } else { Err(BrokenChain::Changed { version }) }
}

fn first(
    id: OrderId,
    event: OrderEvent,
    at: Timestamp,
    traceparent: Option<&str>,
    hash: Hash,
) -> Result<Order, BrokenChain> {
    let trace = traceparent.and_then(|text| text.parse().ok());
    match (event, trace) {
        (OrderEvent::OrderCreated(created), Some(trace)) => {
            let actor = banyan_kernel::Actor::system("fold");
            let (mut order, _) = Order::create(id, created, trace, at, &actor);
            order.hash = hash;
            Ok(order)
        }
        _ => Err(BrokenChain::Unreadable("the first event is no OrderCreated with a trace".to_owned())),
    }
}

/// Adds events of several orders, in the order given.
pub(crate) async fn insert_events(
    write: &mut Write,
    events: &[(&Order, &Recorded)],
) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    fn all<'a, T>(of: &[(&'a Order, &'a Recorded)], f: impl Fn(&'a Order, &'a Recorded) -> T) -> Vec<T> {
        of.iter().map(|(order, event)| f(order, event)).collect()
    }
    let epoch = write.epoch();
    sqlx::query(INSERT_EVENTS)
        .bind(all(events, |o, _| o.id.0))
        .bind(all(events, |_, e| e.version as i32))
        .bind(all(events, |_, e| e.sequence.map(|sequence| sequence as i16)))
        .bind(all(events, |_, e| e.kind.as_str()))
        .bind(all(events, |_, e| SqlJson(&e.payload)))
        .bind(all(events, |_, e| &e.hash[..]))
        .bind(all(events, |_, e| e.at))
        .bind(all(events, |o, e| (e.version == 1).then(|| o.trace.to_string())))
        .bind(SCHEMA_VERSION as i16)
        .bind(epoch)
        .bind(all(events, |o, _| slot_of(&o.id.to_string()) as i16))
        .execute(write.connection())
        .await?;
    Ok(())
}

async fn update_rows(connection: &mut PgConnection, kept: &[&Save]) -> Result<(), StoreError> {
    fn all<'a, T>(kept: &[&'a Save], f: impl Fn(&'a Save) -> T) -> Vec<T> {
        kept.iter().map(|save| f(save)).collect()
    }
    sqlx::query(UPDATE_ROWS)
        .bind(all(kept, |s| s.order.id.0))
        .bind(all(kept, |s| s.order.public_state().as_str()))
        .bind(all(kept, |s| s.order.version as i32))
        .bind(all(kept, |s| s.order.told as i16))
        .bind(all(kept, |s| &s.order.hash[..]))
        .bind(all(kept, |s| s.order.ended.is_none()))
        .bind(all(kept, |s| s.due_at))
        .bind(all(kept, |s| s.asked as i32))
        .bind(all(kept, |s| s.waiting.as_deref()))
        .execute(connection)
        .await?;
    Ok(())
}
