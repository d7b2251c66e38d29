//! The list of orders: a read model of the whole history, one row an order.
//!
//! `row` folds an event at a time; `read` is what lists and searches ask; the judgement compares a copy with the saga's own fold.

mod read;
mod row;

use std::collections::BTreeMap;

use async_trait::async_trait;
use banyan_bus::{Applied, CopyOf, DROPPED, Judged, ReadModel};
use banyan_kernel::{Envelope, OrderId, Sequenced};
use banyan_store::{Locks, Position, Store, StoreError, Write};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::{
    event::OrderEvent,
    postgres::{fold, streams_at},
    source::HISTORY,
};
pub(crate) use read::list;
pub(crate) use row::ListRow;

const ROWS: &str = "select order_id, version, customer_id, state, cause, paid, stuck, total_minor, currency, pieces, skus, \
     tracking, placed_at, ended_at from order_list where copy = $1 and order_id = any($2)";
const LIVE_ROWS: &str = "select order_id, version, customer_id, state, cause, paid, stuck, total_minor, currency, pieces, skus, \
     tracking, placed_at, ended_at from order_list where copy = (select live from read_model where name = 'orders.list') \
     and order_id > $1 and order_id <= $2";
const SAVE: &str = "insert into order_list (copy, order_id, version, customer_id, state, cause, paid, stuck, total_minor, \
     currency, pieces, skus, tracking, placed_at, ended_at) \
     select $1, o, version, customer, state, cause, paid, stuck, total, currency, pieces, string_to_array(skus, ' '), \
     tracking, placed, ended from unnest($2::uuid[], $3::int4[], $4::uuid[], $5::text[], $6::text[], $7::bool[], \
     $8::bool[], $9::int8[], $10::text[], $11::int8[], $12::text[], $13::text[], $14::timestamptz[], $15::timestamptz[]) \
     as t(o, version, customer, state, cause, paid, stuck, total, currency, pieces, skus, tracking, placed, ended) \
     on conflict (copy, order_id) do update set version = excluded.version, state = excluded.state, \
     cause = excluded.cause, paid = excluded.paid, stuck = excluded.stuck, tracking = excluded.tracking, \
     ended_at = excluded.ended_at";
const CLEAR: &str = "delete from order_list where copy = $1 and order_id in \
     (select order_id from order_list where copy = $1 order by order_id limit $2)";
/// Orders of the copy, and of the events up to a position.
const KEYS: &str = "(select order_id from order_list where copy = $1 and order_id > $2 order by order_id limit $3) union \
     (select order_id from order_event where order_id > $2 and version = 1 \
     and (epoch, xid, seq) <= ($4, $5::text::xid8, $6) order by order_id limit $3) order by order_id limit $3";

/// Orders judged at a time.
const JUDGED_ORDERS: i64 = 250;

/// The read model.
pub struct OrderList(Store);

impl OrderList {
    /// Its name, and its group's.
    pub const NAME: &'static str = "orders.list";

    /// Over the module's store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }
}

#[async_trait]
impl ReadModel for OrderList {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn source(&self) -> &'static str {
        HISTORY
    }

    fn store(&self) -> &Store {
        &self.0
    }

    fn locks(&self, batch: &[Envelope]) -> Locks {
        Locks::none().and("order_list", batch.iter().map(|event| event.subject.as_str()))
    }

    async fn apply(
        &self,
        write: &mut Write,
        copy: CopyOf,
        batch: &[Envelope],
    ) -> Result<Vec<Applied>, StoreError> {
        let ids: Vec<Uuid> = batch.iter().filter_map(|event| Uuid::try_parse(&event.subject).ok()).collect();
        let mut rows = rows(write.connection(), copy.number(), &ids).await?;
        let applied: Vec<Applied> = batch.iter().map(|event| advance(&mut rows, event)).collect();
        let done = batch.iter().zip(&applied).filter(|(_, applied)| **applied == Applied::Done);
        let changed: BTreeMap<OrderId, &ListRow> = done
            .filter_map(|(event, _)| rows.get_key_value(&event.subject.parse().ok()?))
            .map(|(id, row)| (*id, row))
            .collect();
        save(write.connection(), copy.number(), &changed.into_values().collect::<Vec<_>>()).await?;
        Ok(applied)
    }

    async fn clear(&self, write: &mut Write, copy: CopyOf, limit: u16) -> Result<u64, StoreError> {
        let cleared =
            sqlx::query(CLEAR).bind(copy.number()).bind(i64::from(limit)).execute(write.connection()).await?;
        Ok(cleared.rows_affected())
    }

    async fn judge(&self, copy: CopyOf, at: Position, after: &str) -> Result<Judged, StoreError> {
        let pool = self.0.pool();
        let ids: Vec<Uuid> = sqlx::query_scalar(KEYS)
            .bind(copy.number())
            .bind(Uuid::try_parse(after).unwrap_or_default())
            .bind(JUDGED_ORDERS)
            .bind(at.epoch)
            .bind(at.xid.to_string())
            .bind(at.seq)
            .fetch_all(pool)
            .await?;
        let mut connection = pool.acquire().await?;
        let rows = rows(&mut connection, copy.number(), &ids).await?;
        let mut streams = streams_at(&mut connection, &ids, at).await?;
        let differences = ids.iter().filter_map(|id| {
            let id = OrderId(*id);
            let order = streams.remove(&id).map(|stream| fold(id, stream));
            let differs = match (rows.get(&id), order) {
                (_, Some(Err(broken))) => Some(broken.to_string()),
                (Some(row), Some(Ok(order))) => row.differs(&order),
                (Some(_), None) => Some("there are no such events".to_owned()),
                (None, _) => Some("it is not in the list".to_owned()),
            };
            differs.map(|how| format!("{id}: {how}"))
        });
        let differences = differences.collect();
        let last = ids.last().filter(|_| ids.len() as i64 == JUDGED_ORDERS);
        Ok(Judged { next: last.map(Uuid::to_string), keys: ids.len() as u64, differences })
    }
}

/// What of a list is told by an order's event.
fn advance(rows: &mut BTreeMap<OrderId, ListRow>, event: &Envelope) -> Applied {
    let Ok(order) = event.subject.parse::<OrderId>() else {
        return Applied::Poison(format!("{:?} is no order", event.subject));
    };
    let seen = rows.get(&order).map_or(0, |row| i64::from(row.version));
    match Sequenced::judge(seen, event.sequence) {
        Sequenced::Duplicate => return Applied::Duplicate,
        Sequenced::Gap => return Applied::Gap { seen },
        Sequenced::Next => {}
    }
    if event.kind == DROPPED {
        return rows.get_mut(&order).map_or(Applied::Skipped, |row| {
            row.version += 1;
            Applied::Done
        });
    }
    match OrderEvent::restore(&event.kind, event.schema_version, event.data.clone()) {
        Ok(OrderEvent::OrderCreated(created)) => {
            rows.insert(order, ListRow::first(order, &created, event.time));
            Applied::Done
        }
        Ok(later) => match rows.get_mut(&order) {
            Some(row) => {
                row.advance(&later, event.time);
                Applied::Done
            }
            None => Applied::Poison("its first event is no OrderCreated".to_owned()),
        },
        // Also of a type that only a newer program knows: its key waits until this one is replaced.
        Err(error) => Applied::Poison(error.to_string()),
    }
}

/// The live rows of the orders after one, up to and with another: for the audit.
pub(crate) async fn live_rows(
    pool: &sqlx::PgPool,
    after: OrderId,
    upto: OrderId,
) -> Result<BTreeMap<OrderId, ListRow>, StoreError> {
    let rows: Vec<ListRow> = sqlx::query_as(LIVE_ROWS).bind(after.0).bind(upto.0).fetch_all(pool).await?;
    Ok(rows.into_iter().map(|row| (OrderId(row.order_id), row)).collect())
}

/// The rows of a copy, by order.
async fn rows(
    connection: &mut PgConnection,
    copy: i16,
    ids: &[Uuid],
) -> Result<BTreeMap<OrderId, ListRow>, StoreError> {
    let rows: Vec<ListRow> = sqlx::query_as(ROWS).bind(copy).bind(ids).fetch_all(connection).await?;
    Ok(rows.into_iter().map(|row| (OrderId(row.order_id), row)).collect())
}

async fn save(connection: &mut PgConnection, copy: i16, rows: &[&ListRow]) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    fn all<'a, T>(rows: &[&'a ListRow], f: impl Fn(&'a ListRow) -> T) -> Vec<T> {
        rows.iter().map(|row| f(row)).collect()
    }
    sqlx::query(SAVE)
        .bind(copy)
        .bind(all(rows, |row| row.order_id))
        .bind(all(rows, |row| row.version))
        .bind(all(rows, |row| row.customer_id))
        .bind(all(rows, |row| row.state.as_str()))
        .bind(all(rows, |row| row.cause.as_deref()))
        .bind(all(rows, |row| row.paid))
        .bind(all(rows, |row| row.stuck))
        .bind(all(rows, |row| row.total_minor))
        .bind(all(rows, |row| row.currency.as_str()))
        .bind(all(rows, |row| row.pieces))
        // A SKU has no blank in it.
        .bind(all(rows, |row| row.skus.join(" ")))
        .bind(all(rows, |row| row.tracking.as_deref()))
        .bind(all(rows, |row| row.placed_at))
        .bind(all(rows, |row| row.ended_at))
        .execute(connection)
        .await?;
    Ok(())
}
