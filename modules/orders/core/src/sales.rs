//! Sales: a read model of what was handed over, by hour and product.
//!
//! What an order is made of stands in its first event; told twice, an order counts once, as `sold_order` knows it.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use banyan_bus::{Applied, CopyOf, Judged, ReadModel};
use banyan_kernel::{Answer, Currency, Envelope, Sku, Timestamp};
use banyan_store::{Locks, Position, Store, StoreError, Write};
use orders_api::{ListSales, OrderShipped, PricedLine, Sales, SalesPage};
use sqlx::{FromRow, PgConnection, types::Json};
use time::Duration;
use uuid::Uuid;

const KNOWN: &str = "select s.order_id from sold_order s, unnest($2::timestamptz[], $3::uuid[]) as t(hour, o) \
     where s.copy = $1 and s.hour = t.hour and s.order_id = t.o";
const LINES: &str =
    "select order_id, payload->'lines' from order_event where version = 1 and order_id = any($1)";
const SOLD: &str = "insert into sold_order (copy, hour, order_id) \
     select $1, hour, o from unnest($2::timestamptz[], $3::uuid[]) as t(hour, o)";
const ADD: &str = "insert into sales as s (copy, hour, sku, currency, orders, pieces, amount_minor) \
     select $1, hour, sku, currency, orders, pieces, amount \
     from unnest($2::timestamptz[], $3::text[], $4::text[], $5::int8[], $6::int8[], $7::int8[]) \
     as t(hour, sku, currency, orders, pieces, amount) \
     on conflict (copy, hour, sku, currency) do update set orders = s.orders + excluded.orders, \
     pieces = s.pieces + excluded.pieces, amount_minor = s.amount_minor + excluded.amount_minor";
const CLEAR_SALES: &str =
    "delete from sales where ctid = any(array(select ctid from sales where copy = $1 limit $2))";
const CLEAR_SOLD: &str =
    "delete from sold_order where ctid = any(array(select ctid from sold_order where copy = $1 limit $2))";

/// The independent fold, first part: the shipped orders up to a position, and whether the copy has each.
const SHIPPED: &str = "select e.order_id, exists (select from sold_order s where s.copy = $1 \
     and s.hour = date_trunc('hour', e.at, 'UTC') and s.order_id = e.order_id) from order_event e \
     where e.order_id > $2 and e.type = 'OrderShipped' and (e.epoch, e.xid, e.seq) <= ($3, $4::text::xid8, $5) \
     order by e.order_id limit $6";
/// The second part: each hour's sums, folded by the database from the first events of the orders in them; and orders in an hour
/// in which they were not shipped.
const HOUR: &str = "select min(hour) from (select min(hour) as hour from sales where copy = $1 and hour > $2 \
     union all select min(hour) from sold_order where copy = $1 and hour > $2) hours";
const DIFFERS: &str = "with folded as (select (l.value->>'sku') collate \"C\" as sku, l.value->'unit_price'->>'currency' as currency, \
     count(*) as orders, sum((l.value->>'quantity')::int8)::int8 as pieces, \
     sum((l.value->>'quantity')::int8 * (l.value->'unit_price'->>'minor')::int8)::int8 as amount_minor \
     from sold_order s join order_event e on e.order_id = s.order_id and e.version = 1, \
     jsonb_array_elements(e.payload->'lines') l where s.copy = $1 and s.hour = $2 group by 1, 2) \
     select coalesce(f.sku, s.sku) || ' ' || coalesce(f.currency, s.currency) || ': sales say ' \
     || coalesce(s.pieces || ' pieces of ' || s.orders || ' orders for ' || s.amount_minor, 'nothing') || ', and the orders say ' \
     || coalesce(f.pieces || ' pieces of ' || f.orders || ' orders for ' || f.amount_minor, 'nothing') \
     from folded f full join (select * from sales where copy = $1 and hour = $2) s on s.sku = f.sku and s.currency = f.currency \
     where (f.orders, f.pieces, f.amount_minor) is distinct from (s.orders, s.pieces, s.amount_minor) \
     union all select s.order_id || ' is in it, and was not shipped then' from sold_order s where s.copy = $1 and s.hour = $2 \
     and not exists (select from order_event e where e.order_id = s.order_id and e.type = 'OrderShipped' \
     and date_trunc('hour', e.at, 'UTC') = s.hour)";
const LIVE: &str = "select live from read_model where name = 'orders.sales'";
const IN_SALES: &str = "select s.order_id from sold_order s, unnest($1::timestamptz[], $2::uuid[]) as t(hour, o) \
     where s.copy = (select live from read_model where name = 'orders.sales') and s.hour = t.hour and s.order_id = t.o";

const NEWEST: &str = "select hour, sku, currency, orders, pieces, amount_minor from sales \
     where copy = (select live from read_model where name = 'orders.sales') and hour >= $1 \
     and (hour < $2 or (hour = $2 and (sku, currency) > ($3, $4))) order by hour desc, sku, currency limit $5";
const NEWEST_OF_SKU: &str = "select hour, sku, currency, orders, pieces, amount_minor from sales \
     where copy = (select live from read_model where name = 'orders.sales') and sku = $6 and hour >= $1 \
     and (hour < $2 or (hour = $2 and (sku, currency) > ($3, $4))) order by hour desc, sku, currency limit $5";

/// Orders judged at a time.
const JUDGED_ORDERS: i64 = 2_000;
/// Longer lists come in pages.
const PAGE_MAX: u16 = 200;

/// The read model.
pub struct SalesByHour(Store);

impl SalesByHour {
    /// Its name, and its group's.
    pub const NAME: &'static str = "orders.sales";

    /// Over the module's store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self(store)
    }
}

/// Hour, product, currency.
type Key = (Timestamp, String, String);

/// What is added to a row.
#[derive(Clone, Copy, Default)]
struct Sum {
    orders: i64,
    pieces: i64,
    amount_minor: i64,
}

#[async_trait]
impl ReadModel for SalesByHour {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    fn source(&self) -> &'static str {
        orders_api::NAME
    }

    fn store(&self) -> &Store {
        &self.0
    }

    /// The sums' rows are locked as they are changed, in the order of their keys.
    fn locks(&self, batch: &[Envelope]) -> Locks {
        Locks::none().and("sold_order", batch.iter().map(|event| event.subject.as_str()))
    }

    async fn apply(
        &self,
        write: &mut Write,
        copy: CopyOf,
        batch: &[Envelope],
    ) -> Result<Vec<Applied>, StoreError> {
        let shipped = batch.iter().filter(|event| event.kind == OrderShipped::KIND);
        let shipped: Vec<(Timestamp, Uuid)> = shipped
            .filter_map(|event| Some((hour_of(event.time), Uuid::try_parse(&event.subject).ok()?)))
            .collect();
        if shipped.is_empty() {
            return Ok(vec![Applied::Skipped; batch.len()]);
        }
        let (connection, copy) = (write.connection(), copy.number());
        let (hours, ids): (Vec<Timestamp>, Vec<Uuid>) = shipped.into_iter().unzip();
        let known: Vec<Uuid> =
            sqlx::query_scalar(KNOWN).bind(copy).bind(hours).bind(&ids).fetch_all(&mut *connection).await?;
        let lines: Vec<(Uuid, Json<Vec<PricedLine>>)> =
            sqlx::query_as(LINES).bind(&ids).fetch_all(&mut *connection).await?;
        let lines = lines.into_iter().map(|(order, Json(lines))| (order, lines)).collect();
        let mut fold =
            Fold { known: known.into_iter().collect(), lines, sold: Vec::new(), sums: BTreeMap::new() };
        let applied = batch.iter().map(|event| fold.add(event)).collect();
        fold.write(connection, copy).await?;
        Ok(applied)
    }

    async fn clear(&self, write: &mut Write, copy: CopyOf, limit: u16) -> Result<u64, StoreError> {
        let mut cleared = 0;
        for statement in [CLEAR_SALES, CLEAR_SOLD] {
            let query = sqlx::query(statement).bind(copy.number()).bind(i64::from(limit));
            cleared += query.execute(write.connection()).await?.rows_affected();
        }
        Ok(cleared)
    }

    async fn judge(&self, copy: CopyOf, at: Position, after: &str) -> Result<Judged, StoreError> {
        match after.strip_prefix(HOURS) {
            None => self.judge_orders(copy.number(), at, after).await,
            Some(hour) => {
                let seconds = hour.parse().unwrap_or_default();
                let after = Timestamp::from_unix_timestamp(seconds).unwrap_or(Timestamp::UNIX_EPOCH);
                let judged = judge_hour(&self.0, copy.number(), after).await?;
                Ok(judged.map_or_else(Judged::default, |(hour, differences)| Judged {
                    next: Some(format!("{HOURS}{}", hour.unix_timestamp())),
                    keys: 1,
                    differences,
                }))
            }
        }
    }
}

/// Begins the places of the judgement's second part: hours, in seconds since 1970.
const HOURS: &str = "hour ";

impl SalesByHour {
    async fn judge_orders(&self, copy: i16, at: Position, after: &str) -> Result<Judged, StoreError> {
        let shipped: Vec<(Uuid, bool)> = sqlx::query_as(SHIPPED)
            .bind(copy)
            .bind(Uuid::try_parse(after).unwrap_or_default())
            .bind(at.epoch)
            .bind(at.xid.to_string())
            .bind(at.seq)
            .bind(JUDGED_ORDERS)
            .fetch_all(self.0.pool())
            .await?;
        let last = shipped.last().filter(|_| shipped.len() as i64 == JUDGED_ORDERS);
        let next = last.map_or_else(|| format!("{HOURS}0"), |(order, _)| order.to_string());
        let missing = shipped.iter().filter(|(_, is_sold)| !is_sold);
        let differences =
            missing.map(|(order, _)| format!("{order} was shipped, and is not in the sales")).collect();
        Ok(Judged { next: Some(next), keys: shipped.len() as u64, differences })
    }
}

/// The first hour after this one in a copy, and what differs in it.
async fn judge_hour(
    store: &Store,
    copy: i16,
    after: Timestamp,
) -> Result<Option<(Timestamp, Vec<String>)>, StoreError> {
    let hour: Option<Timestamp> =
        sqlx::query_scalar(HOUR).bind(copy).bind(after).fetch_one(store.pool()).await?;
    let Some(hour) = hour else { return Ok(None) };
    let differs: Vec<String> =
        sqlx::query_scalar(DIFFERS).bind(copy).bind(hour).fetch_all(store.pool()).await?;
    Ok(Some((hour, differs.into_iter().map(|what| format!("the hour of {hour}: {what}")).collect())))
}

/// What a batch adds.
struct Fold {
    known: BTreeSet<Uuid>,
    lines: BTreeMap<Uuid, Vec<PricedLine>>,
    sold: Vec<(Timestamp, Uuid)>,
    sums: BTreeMap<Key, Sum>,
}

impl Fold {
    fn add(&mut self, event: &Envelope) -> Applied {
        if event.kind != OrderShipped::KIND {
            return Applied::Skipped;
        }
        let Ok(order) = Uuid::try_parse(&event.subject) else {
            return Applied::Poison(format!("{:?} is no order", event.subject));
        };
        if !self.known.insert(order) {
            return Applied::Duplicate;
        }
        let Some(lines) = self.lines.get(&order) else {
            return Applied::Poison("its first event is not there".to_owned());
        };
        let hour = hour_of(event.time);
        for line in lines {
            let key = (hour, line.sku.to_string(), line.unit_price.currency.to_string());
            let sum = self.sums.entry(key).or_default();
            sum.orders += 1;
            sum.pieces += line.quantity.get();
            sum.amount_minor += line.quantity.get() * line.unit_price.minor;
        }
        self.sold.push((hour, order));
        Applied::Done
    }

    async fn write(self, connection: &mut PgConnection, copy: i16) -> Result<(), StoreError> {
        if self.sold.is_empty() {
            return Ok(());
        }
        let (hours, orders): (Vec<Timestamp>, Vec<Uuid>) = self.sold.into_iter().unzip();
        sqlx::query(SOLD).bind(copy).bind(hours).bind(orders).execute(&mut *connection).await?;
        let (keys, sums): (Vec<Key>, Vec<Sum>) = self.sums.into_iter().unzip();
        sqlx::query(ADD)
            .bind(copy)
            .bind(keys.iter().map(|(hour, ..)| *hour).collect::<Vec<_>>())
            .bind(keys.iter().map(|(_, sku, _)| sku.as_str()).collect::<Vec<_>>())
            .bind(keys.iter().map(|(.., currency)| currency.as_str()).collect::<Vec<_>>())
            .bind(sums.iter().map(|sum| sum.orders).collect::<Vec<_>>())
            .bind(sums.iter().map(|sum| sum.pieces).collect::<Vec<_>>())
            .bind(sums.iter().map(|sum| sum.amount_minor).collect::<Vec<_>>())
            .execute(connection)
            .await?;
        Ok(())
    }
}

/// The full hour, UTC, in which a moment lies.
fn hour_of(at: Timestamp) -> Timestamp {
    at - Duration::nanoseconds((at.unix_timestamp_nanos() % HOUR_NANOS) as i64)
}

const HOUR_NANOS: i128 = 3_600_000_000_000;

/// What is wrong with the live copy, judged hour by hour, each in one statement while the shop sells.
pub(crate) async fn violations(store: &Store) -> Result<Vec<String>, StoreError> {
    let mut found = Vec::new();
    let mut after = Timestamp::UNIX_EPOCH;
    loop {
        // Read for each hour: after a rebuild the other copy is the live one.
        let live: i16 = sqlx::query_scalar(LIVE).fetch_one(store.pool()).await?;
        let Some((hour, differences)) = judge_hour(store, live, after).await? else { return Ok(found) };
        found.extend(differences);
        after = hour;
    }
}

/// Which of these orders, each shipped at its time, the live copy has.
pub(crate) async fn sold(store: &Store, shipped: &[(Timestamp, Uuid)]) -> Result<BTreeSet<Uuid>, StoreError> {
    let (hours, orders): (Vec<Timestamp>, Vec<Uuid>) =
        shipped.iter().map(|(at, order)| (hour_of(*at), *order)).unzip();
    let sold: Vec<Uuid> =
        sqlx::query_scalar(IN_SALES).bind(hours).bind(orders).fetch_all(store.pool()).await?;
    Ok(sold.into_iter().collect())
}

#[derive(FromRow)]
struct Row {
    hour: Timestamp,
    sku: String,
    currency: String,
    orders: i64,
    pieces: i64,
    amount_minor: i64,
}

impl Row {
    fn sales(self) -> Option<Sales> {
        Some(Sales {
            hour: self.hour,
            sku: self.sku.parse().ok()?,
            currency: Currency::try_from(self.currency).ok()?,
            orders: self.orders,
            pieces: self.pieces,
            amount_minor: self.amount_minor,
        })
    }
}

/// A page, the newest hour first.
pub(crate) async fn list(store: &Store, which: ListSales) -> Result<Answer<SalesPage>, StoreError> {
    let limit = which.limit.clamp(1, PAGE_MAX);
    let newest = (Timestamp::new_utc(time::Date::MAX, time::Time::MIDNIGHT), None);
    let (hour, last) = which.after.map_or(newest, |(hour, sku, currency)| (hour, Some((sku, currency))));
    let (sku, currency) = last.unzip();
    let query = sqlx::query_as(if which.sku.is_some() { NEWEST_OF_SKU } else { NEWEST })
        .bind(which.from.unwrap_or(Timestamp::UNIX_EPOCH))
        .bind(hour)
        .bind(sku.as_ref().map_or("", Sku::as_str))
        .bind(currency.map(|currency| currency.to_string()).unwrap_or_default())
        .bind(i64::from(limit));
    let query = match &which.sku {
        Some(sku) => query.bind(sku.as_str()),
        None => query,
    };
    let rows: Vec<Row> = query.fetch_all(store.pool()).await?;
    let is_full = rows.len() == usize::from(limit);
    let sales: Vec<Sales> = rows.into_iter().filter_map(Row::sales).collect();
    let next = sales.last().filter(|_| is_full).map(|last| (last.hour, last.sku.clone(), last.currency));
    Ok(Answer::Done(SalesPage { sales, next }))
}
