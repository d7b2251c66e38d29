//! Hears what the gateway tells of its own accord. An event is a hint: whatever it says, it only makes a look-up due, so that
//! one that comes twice, late, in another order, or with something untrue in it, changes nothing by itself.

use banyan_kernel::{Answer, Json, OrderId, Refusal};
use banyan_net::outbound::Outcome;
use banyan_store::{Locks, Store, StoreError};
use payments_api::{Heard, refusals};

use crate::{
    Payments,
    gateway::{About, Hint, hint},
};

/// A repeat of an event changes nothing, and neither does one of a payment that is not ours.
pub(crate) const NOTE: &str = "insert into gateway_look as l (order_id, slot, hints, events, tries, look_ups, next_try_at) \
     select order_id, slot, 1, array[$2::text], 0, 0, $3 from payment where order_id = $1 and reference is not null \
     on conflict (order_id) do update set hints = l.hints + 1, events = (array[$2::text] || l.events)[1:16], tries = 0, \
     look_ups = 0, first_sent_at = null, next_try_at = $3, broken = null where not l.events @> array[$2::text]";
/// A call that was answered at its first try, or is at it, needs no waking.
pub(crate) const WAKE: &str =
    "update payment set next_try_at = $2 where order_id = $1 and tries > 1 and next_try_at > $2";

pub(crate) async fn hear(payments: &Payments, event: &Json) -> Answer<Heard> {
    let hint = match hint(event) {
        Ok(Some(hint)) => hint,
        Ok(None) => return Answer::Done(Heard::Ignored),
        Err(why) => return Answer::Rejected(Refusal::new(refusals::INVALID_EVENT, why)),
    };
    let order = match (hint.order, &hint.reference) {
        (Some(order), _) => order,
        (None, Some(reference)) => match payments.0.gateway.order_of(reference).await {
            Outcome::Done(order) => order,
            Outcome::Absent => return Answer::Done(Heard::Ignored),
            other => return Answer::Unavailable(format!("whose {reference} is cannot be told: {other:?}")),
        },
        (None, None) => return Answer::Done(Heard::Ignored),
    };
    note(payments.store(), order, &hint).await.map_or_else(Answer::from, Answer::Done)
}

async fn note(store: &Store, order: OrderId, hint: &Hint) -> Result<Heard, StoreError> {
    let mut write = store.begin(&Locks::none().and("order", [order.to_string()])).await?;
    let now = store.clock().now();
    let noted = match hint.about {
        About::Money => sqlx::query(NOTE).bind(order.0).bind(&hint.event).bind(now),
        About::Standing => sqlx::query(WAKE).bind(order.0).bind(now),
    };
    if noted.execute(write.connection()).await?.rows_affected() == 0 {
        write.abandon().await;
        return Ok(Heard::Ignored);
    }
    write.commit().await?;
    Ok(Heard::Noted)
}
