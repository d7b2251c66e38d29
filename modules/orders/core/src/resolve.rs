//! A person gets a stopped order going again; recorded with who and why.

use std::sync::Arc;

use banyan_kernel::{Answer, Clock, Context, OrderId, Refusal};
use banyan_store::StoreError;
use orders_api::{OrderView, Resolution, refusals};

use crate::{cancel::amend, event::OrderEvent, log::OrderLog};

pub(crate) async fn resolve(
    log: &dyn OrderLog,
    clock: &Arc<dyn Clock>,
    order: OrderId,
    how: Resolution,
    reason: String,
    context: &Context,
) -> Result<Answer<OrderView>, StoreError> {
    amend(log, clock, order, context, |loaded| match &loaded.order.broken {
        Some(_) => Ok(Some(OrderEvent::OrderResolved { how, reason: reason.clone() })),
        None => Err(Refusal::new(refusals::NOT_STUCK, "the order is not stuck; see `banyan order why`")),
    })
    .await
}
