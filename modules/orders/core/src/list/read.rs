//! What lists and searches ask of the read model.

use std::time::Duration;

use banyan_kernel::{Answer, CustomerId, OrderId, Timestamp};
use banyan_store::{Store, StoreError};
use orders_api::{ListOrders, OrdersPage, refusals};
use sqlx::FromRow;
use tokio::time::Instant;
use uuid::Uuid;

use super::ListRow;

/// A page looks through the newest orders, bounded; with those that fit comes the last one that it looked at, where the next
/// page goes on.
const NEWEST: &str = "with seen as materialized (select *, row_number() over (order by placed_at desc, order_id desc) as place \
     from order_list where copy = (select live from read_model where name = 'orders.list') \
     and (placed_at, order_id) < ($1, $2) and placed_at >= $3 order by placed_at desc, order_id desc limit $4), \
     judged as (select *, ($5::text is null or state = $5) and ($6::text is null or cause = $6) \
     and ($7::text is null or $7 = any(skus)) as fits from seen) \
     select * from judged where fits or place = $4 order by place limit $8";
const NEWEST_OF_CUSTOMER: &str = "with seen as materialized (select *, row_number() over (order by placed_at desc, order_id desc) as place \
     from order_list where copy = (select live from read_model where name = 'orders.list') and customer_id = $9 \
     and (placed_at, order_id) < ($1, $2) and placed_at >= $3 order by placed_at desc, order_id desc limit $4), \
     judged as (select *, ($5::text is null or state = $5) and ($6::text is null or cause = $6) \
     and ($7::text is null or $7 = any(skus)) as fits from seen) \
     select * from judged where fits or place = $4 order by place limit $8";
/// Whose row is another customer's is never reached: a token tells nothing of a foreign order.
const BEHIND: &str = "select count(*) from unnest($1::uuid[], $2::int8[]) as t(o, version) left join order_list l \
     on l.copy = (select live from read_model where name = 'orders.list') and l.order_id = t.o \
     where coalesce(l.version, 0) < t.version or l.customer_id <> $3";

/// Longer lists come in pages.
const PAGE_MAX: u16 = 200;
/// Orders that a page looks through at most.
const SEEN_ORDERS: i64 = 10_000;
/// How long a reader waits for what it asks to see. Who asks from another process hears that it is not there yet, and not that nobody
/// answers: this is well below an attempt of theirs.
const BEHIND_MAX: Duration = Duration::from_millis(1_500);
/// Between two looks, at first and at most.
const LOOKS: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

#[derive(FromRow)]
struct Judged {
    #[sqlx(flatten)]
    row: ListRow,
    place: i64,
    fits: bool,
}

/// A page, newest first.
pub(crate) async fn list(store: &Store, which: ListOrders) -> Result<Answer<OrdersPage>, StoreError> {
    if !reached(store, &which).await? {
        let detail = "the list has not come to what you ask to see; ask again";
        return Ok(Answer::rejected(refusals::BEHIND, detail));
    }
    let newest = (Timestamp::new_utc(time::Date::MAX, time::Time::MIDNIGHT), OrderId(Uuid::max()));
    let before = which.before.unwrap_or(newest);
    let limit = which.limit.clamp(1, PAGE_MAX);
    let customer = which.reader.or(which.customer);
    let query = sqlx::query_as(if customer.is_some() { NEWEST_OF_CUSTOMER } else { NEWEST })
        .bind(before.0)
        .bind(before.1.0)
        .bind(which.placed_from.unwrap_or(Timestamp::UNIX_EPOCH))
        .bind(SEEN_ORDERS)
        .bind(which.state.map(|state| state.as_str()))
        .bind(which.cause)
        .bind(which.sku.map(|sku| sku.to_string()))
        .bind(i64::from(limit));
    let query = match customer {
        Some(customer) => query.bind(customer.0),
        None => query,
    };
    let rows: Vec<Judged> = query.fetch_all(store.pool()).await?;
    let is_full = |last: &&Judged| rows.len() == usize::from(limit) || last.place == SEEN_ORDERS;
    let next = rows.last().filter(is_full).map(|last| (last.row.placed_at, OrderId(last.row.order_id)));
    let orders = rows.into_iter().filter(|judged| judged.fits).filter_map(|judged| judged.row.summary());
    Ok(Answer::Done(OrdersPage { orders: orders.collect(), next }))
}

/// Waits, for a bounded time, until the list shows at least what is asked for.
async fn reached(store: &Store, which: &ListOrders) -> Result<bool, StoreError> {
    if which.at_least.is_empty() {
        return Ok(true);
    }
    let deadline = Instant::now() + BEHIND_MAX;
    let mut wait = LOOKS.0;
    while behind(store, &which.at_least, which.reader).await? > 0 {
        if Instant::now() + wait > deadline {
            return Ok(false);
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(LOOKS.1);
    }
    Ok(true)
}

async fn behind(
    store: &Store,
    at_least: &[(OrderId, i64)],
    reader: Option<CustomerId>,
) -> Result<i64, StoreError> {
    let behind = sqlx::query_scalar(BEHIND)
        .bind(at_least.iter().map(|(order, _)| order.0).collect::<Vec<_>>())
        .bind(at_least.iter().map(|(_, version)| *version).collect::<Vec<_>>())
        .bind(reader.map(|reader| reader.0))
        .fetch_one(store.pool())
        .await?;
    Ok(behind)
}
