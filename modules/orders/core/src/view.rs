//! Orders as they stand.

use banyan_kernel::{Answer, OrderId};
use banyan_store::StoreError;
use orders_api::OrderView;

use sqlx::PgPool;

use crate::{log::OrderLog, order::Order, why::unbelieved};

pub(crate) async fn view(
    log: &dyn OrderLog,
    pool: &PgPool,
    orders: &[OrderId],
) -> Result<Answer<Vec<OrderView>>, StoreError> {
    let views: Vec<OrderView> = log.load(orders).await?.iter().map(|loaded| of(&loaded.order)).collect();
    // Alone asked for, an order that cannot be believed is our fault, and not unknown.
    if let ([order], true) = (orders, views.is_empty())
        && !unbelieved(pool, &[*order]).await?.is_empty()
    {
        return Ok(Answer::Broken(format!("the history of {order} is not what was written")));
    }
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
