//! Orders as they stand.

use banyan_kernel::{Answer, OrderId, Timestamp};
use banyan_store::StoreError;
use orders_api::{ListOrders, OrderView};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{log::OrderLog, order::Order};

const NEWEST: &str = "select order_id from orders where (placed_at, order_id) < ($1, $2) \
     order by placed_at desc, order_id desc limit $3";
const NEWEST_OF_CUSTOMER: &str = "select order_id from orders where customer_id = $4 \
     and (placed_at, order_id) < ($1, $2) order by placed_at desc, order_id desc limit $3";

/// Longer lists come in pages.
const PAGE_MAX: u16 = 200;

pub(crate) async fn view(
    log: &dyn OrderLog,
    orders: &[OrderId],
) -> Result<Answer<Vec<OrderView>>, StoreError> {
    Ok(Answer::Done(log.load(orders).await?.iter().map(|loaded| of(&loaded.order)).collect()))
}

pub(crate) async fn list(
    log: &dyn OrderLog,
    pool: &PgPool,
    which: ListOrders,
) -> Result<Answer<Vec<OrderView>>, StoreError> {
    let before = which
        .before
        .unwrap_or((Timestamp::new_utc(time::Date::MAX, time::Time::MIDNIGHT), OrderId(Uuid::max())));
    let limit = i64::from(which.limit.clamp(1, PAGE_MAX));
    let query = sqlx::query_scalar(if which.customer.is_some() { NEWEST_OF_CUSTOMER } else { NEWEST });
    let query = query.bind(before.0).bind(before.1.0).bind(limit);
    let query = match which.customer {
        Some(customer) => query.bind(customer.0),
        None => query,
    };
    let ids: Vec<Uuid> = query.fetch_all(pool).await?;
    let ids: Vec<OrderId> = ids.into_iter().map(OrderId).collect();
    let mut views: Vec<OrderView> = log.load(&ids).await?.iter().map(|loaded| of(&loaded.order)).collect();
    views.sort_by_key(|view| std::cmp::Reverse((view.placed_at, view.id)));
    Ok(Answer::Done(views))
}

pub(crate) fn of(order: &Order) -> OrderView {
    OrderView {
        id: order.id,
        customer: order.created.customer,
        state: order.public_state(),
        cause: order.cause().map(str::to_owned),
        total: order.created.total,
        lines: order.created.lines.clone(),
        tracking: order.tracking.clone(),
        placed_at: order.placed_at,
        ended_at: order.ended,
        version: order.version,
        correlation: order.trace.correlation(),
    }
}
