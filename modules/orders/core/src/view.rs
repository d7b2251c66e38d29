//! Orders as they stand.

use banyan_kernel::{Answer, OrderId};
use banyan_store::StoreError;
use orders_api::OrderView;

use crate::{log::OrderLog, order::Order};

pub(crate) async fn view(
    log: &dyn OrderLog,
    orders: &[OrderId],
) -> Result<Answer<Vec<OrderView>>, StoreError> {
    Ok(Answer::Done(log.load(orders).await?.iter().map(|loaded| of(&loaded.order)).collect()))
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
