//! Orders as they stand.

use banyan_kernel::{Answer, CustomerId, Line, OrderId, Place};
use banyan_store::StoreError;
use orders_api::{OrderParcel, OrderView};

use sqlx::PgPool;

use crate::{log::OrderLog, order::Order};

const KEPT: &str =
    "select exists (select from orders where order_id = $1 and ($2::uuid is null or customer_id = $2))";

pub(crate) async fn view(
    log: &dyn OrderLog,
    pool: &PgPool,
    orders: &[OrderId],
    reader: Option<CustomerId>,
) -> Result<Answer<Vec<OrderView>>, StoreError> {
    let loaded = log.load(orders).await?;
    // Alone asked for, an order that cannot be believed is our fault, and not unknown; but to its own customer and staff alone.
    if let ([order], true) = (orders, loaded.is_empty())
        && is_kept_for(pool, *order, reader).await?
    {
        return Ok(Answer::Broken(format!("the history of {order} is not what was written")));
    }
    let views = loaded.iter().map(|loaded| of(&loaded.order));
    let theirs = |view: &OrderView| reader.is_none_or(|reader| reader == view.customer);
    Ok(Answer::Done(views.filter(theirs).collect()))
}

/// Whether there is a row of it, and the reader's where one is named: it says whose the order is when its history does not.
async fn is_kept_for(pool: &PgPool, order: OrderId, reader: Option<CustomerId>) -> Result<bool, StoreError> {
    let kept = sqlx::query_scalar(KEPT).bind(order.0).bind(reader.map(|reader| reader.0));
    Ok(kept.fetch_one(pool).await?)
}

/// A number each, in the order in which they were booked.
fn parcels(order: &Order) -> Vec<OrderParcel> {
    let parcel = |(tracking, (place, lines)): (&String, (Place, Vec<Line>))| OrderParcel {
        tracking: tracking.clone(),
        place,
        lines,
    };
    order.tracking.iter().zip(order.parcels()).map(parcel).collect()
}

pub(crate) fn of(order: &Order) -> OrderView {
    OrderView {
        id: order.id,
        customer: order.created.customer,
        state: order.public_state(),
        cause: order.cause().map(str::to_owned),
        total: order.created.total,
        lines: order.created.lines.clone(),
        tracking: order.tracking.first().cloned(),
        parcels: parcels(order),
        placed_at: order.placed_at,
        ended_at: order.ended,
        version: order.version,
        correlation: order.trace.correlation(),
    }
}
