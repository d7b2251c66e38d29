//! Why is this order stuck?

use std::collections::BTreeSet;

use banyan_kernel::{Answer, OrderId, Timestamp};
use banyan_store::StoreError;
use orders_api::{OrderState, Why, refusals};
use sqlx::PgPool;
use uuid::Uuid;

use crate::{
    log::{Loaded, OrderLog},
    saga::{Next, next},
};

/// Stopped, or open without an ending for longer than an order should take.
const STUCK: &str = "select order_id from orders where open and (due_at is null or asked >= 5 or placed_at < $1) \
     order by placed_at limit 1000";

/// An order that takes longer is listed.
const SLOW: std::time::Duration = std::time::Duration::from_secs(60);

/// What is known of an order whose events are not believed.
const ROWS: &str = "select order_id, placed_at from orders where order_id = any($1)";

pub(crate) async fn why(
    log: &dyn OrderLog,
    pool: &PgPool,
    order: OrderId,
) -> Result<Answer<Why>, StoreError> {
    let loaded = log.load(&[order]).await?.pop();
    let why = match &loaded {
        Some(loaded) => Some(explain(loaded)),
        None => unbelieved(pool, &[order]).await?.pop(),
    };
    Ok(why.map_or_else(|| Answer::rejected(refusals::UNKNOWN_ORDER, "there is no such order"), Answer::Done))
}

/// Of those that have a row and no history that holds.
async fn unbelieved(pool: &PgPool, orders: &[OrderId]) -> Result<Vec<Why>, StoreError> {
    if orders.is_empty() {
        return Ok(Vec::new());
    }
    let ids: Vec<Uuid> = orders.iter().map(|order| order.0).collect();
    let rows: Vec<(Uuid, Timestamp)> = sqlx::query_as(ROWS).bind(ids).fetch_all(pool).await?;
    let why = |(id, placed_at)| Why {
        id: OrderId(id),
        state: OrderState::Stuck,
        step: None,
        cause: Some("its history is not what was written, and is not believed".to_owned()),
        since: placed_at,
        next_try: None,
        waits_for: None,
        asked: 0,
        advice: "banyan audit names the event; see RUNBOOK.md, \"The audit is not clean\"".to_owned(),
    };
    Ok(rows.into_iter().map(why).collect())
}

pub(crate) async fn stuck(
    log: &dyn OrderLog,
    pool: &PgPool,
    now: Timestamp,
) -> Result<Answer<Vec<Why>>, StoreError> {
    let ids: Vec<Uuid> = sqlx::query_scalar(STUCK).bind(now - SLOW).fetch_all(pool).await?;
    let ids: Vec<OrderId> = ids.into_iter().map(OrderId).collect();
    let mut all: Vec<Why> = log.load(&ids).await?.iter().map(explain).collect();
    let known: BTreeSet<OrderId> = all.iter().map(|why| why.id).collect();
    let unknown: Vec<OrderId> = ids.into_iter().filter(|id| !known.contains(id)).collect();
    all.extend(unbelieved(pool, &unknown).await?);
    all.sort_by_key(|why| (why.state != OrderState::Stuck, why.since));
    Ok(Answer::Done(all))
}

fn explain(loaded: &Loaded) -> Why {
    let Loaded { order, asked, waiting, due_at } = loaded;
    let (step, cause) = match (&order.broken, next(order)) {
        (Some(broken), _) => (Some((broken.step, broken.undo)), Some(broken.why.clone())),
        (None, Next::Do(step)) => (Some((step, false)), waiting.clone()),
        (None, Next::Undo(step)) => (Some((step, true)), waiting.clone()),
        (None, _) => (None, order.cause().map(str::to_owned)),
    };
    let name =
        |(step, undo): (crate::Step, bool)| format!("{}{}", if undo { "undo " } else { "" }, step.name());
    Why {
        id: order.id,
        state: order.public_state(),
        step: step.map(name),
        cause,
        since: order.since,
        next_try: order.ended.is_none().then_some(*due_at).flatten(),
        waits_for: step.map(|(step, _)| step.module().to_owned()),
        asked: *asked,
        advice: advice(loaded),
    }
}

fn advice(loaded: &Loaded) -> String {
    let id = loaded.order.id;
    match loaded.order.public_state() {
        OrderState::Stuck => format!(
            "look at what the outside says of it, then: banyan order resolve {id} --retry --reason WHY, or --cancel"
        ),
        OrderState::Shipped | OrderState::Cancelled => "nothing: it is ended".to_owned(),
        _ if loaded.asked > 0 => "wait: the step is asked again by itself with the same id".to_owned(),
        _ => "nothing: it is on its way".to_owned(),
    }
}
