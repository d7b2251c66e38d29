//! Asks for an order to be undone. Done when the wish is recorded; the saga does the rest.

use std::sync::Arc;

use banyan_kernel::{Answer, Clock, Context, OrderId, Refusal};
use banyan_store::StoreError;
use orders_api::{OrderView, refusals};

use crate::{
    event::OrderEvent,
    log::{Kept, Loaded, OrderLog, Save},
    view,
};

/// How often a wish that met a newer version is decided anew.
const TRIES: u32 = 20;

pub(crate) async fn cancel(
    log: &dyn OrderLog,
    clock: &Arc<dyn Clock>,
    order: OrderId,
    reason: String,
    context: &Context,
) -> Result<Answer<OrderView>, StoreError> {
    amend(log, clock, order, context, |loaded| {
        match (loaded.order.ended.is_some(), &loaded.order.turned_back) {
            (true, None) => Err(Refusal::new(refusals::ALREADY_SHIPPED, "it has been handed over")),
            (_, Some(_)) => Ok(None),
            (false, None) => Ok(Some(OrderEvent::CancelRequested { reason: reason.clone() })),
        }
    })
    .await
}

/// Decides on an order as it stands and appends what was decided; a newer version means deciding anew, in
/// a new transaction.
pub(crate) async fn amend(
    log: &dyn OrderLog,
    clock: &Arc<dyn Clock>,
    order: OrderId,
    context: &Context,
    decide: impl Fn(&Loaded) -> Result<Option<OrderEvent>, Refusal>,
) -> Result<Answer<OrderView>, StoreError> {
    for _ in 0..TRIES {
        let Some(loaded) = log.load(&[order]).await?.pop() else {
            return Ok(Answer::rejected(refusals::UNKNOWN_ORDER, "there is no such order"));
        };
        let event = match decide(&loaded) {
            Err(refusal) => return Ok(Answer::Rejected(refusal)),
            Ok(None) => return Ok(Answer::Done(view::of(&loaded.order))),
            Ok(Some(event)) => event,
        };
        let (mut changed, now) = (loaded.order.clone(), clock.now());
        let events = vec![changed.record(event, now, &context.actor)];
        let expected = loaded.order.version;
        let save =
            Save { order: changed.clone(), expected, events, due_at: Some(now), asked: 0, waiting: None };
        match log.save(&[save]).await?.pop() {
            Some(Kept::Kept) => return Ok(Answer::Done(view::of(&changed))),
            Some(Kept::Refused(why)) => return Ok(Answer::Broken(why)),
            Some(Kept::Outrun) | None => {}
        }
    }
    Ok(Answer::Unavailable("the order is changing too fast; try again".to_owned()))
}
