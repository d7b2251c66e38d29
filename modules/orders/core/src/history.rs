//! An order's events, for people.

use banyan_kernel::{Actor, Answer, OrderId, TraceParent};
use banyan_store::StoreError;
use orders_api::{OrderEventView, refusals};
use sqlx::PgPool;

use crate::{
    event::OrderEvent,
    postgres::{EventRow, streams},
    saga::Step,
};

pub(crate) async fn events(
    pool: &PgPool,
    order: OrderId,
    after: i64,
) -> Result<Answer<Vec<OrderEventView>>, StoreError> {
    let mut streams = streams(pool, &[order.0]).await?;
    let Some(rows) = streams.remove(&order) else {
        return Ok(Answer::rejected(refusals::UNKNOWN_ORDER, "there is no such order"));
    };
    let trace = rows.first().and_then(|row| row.traceparent.as_deref()?.parse::<TraceParent>().ok());
    let correlation = trace.map(|trace| trace.correlation()).unwrap_or_default();
    let later = rows.into_iter().filter(|row| i64::from(row.version) > after);
    Ok(Answer::Done(later.map(|row| line(row, &correlation)).collect()))
}

/// What a line shows of an event; one that cannot be read is shown as it is stored.
fn line(row: EventRow, correlation: &str) -> OrderEventView {
    let event = OrderEvent::restore(&row.kind, row.schema_version.unsigned_abs(), row.payload.clone());
    let (step, attempt, undo, cause) = event.map(|event| about(&event)).unwrap_or_default();
    let actor = row.payload["actor"].as_str().and_then(|text| text.parse().ok());
    OrderEventView {
        version: row.version.into(),
        at: row.at,
        kind: row.kind,
        module: step.map_or(orders_api::NAME, Step::module).to_owned(),
        step: step.map(|step| step.name().to_owned()),
        attempt,
        undo,
        cause,
        actor: actor.unwrap_or_else(|| Actor::system("unknown")),
        correlation: correlation.to_owned(),
        data: row.payload,
    }
}

type About = (Option<Step>, Option<u32>, bool, Option<String>);

fn about(event: &OrderEvent) -> About {
    match event {
        OrderEvent::OrderCreated(created) => (None, None, false, Some(created.total.to_string())),
        OrderEvent::StepDone { step, attempt, asked, asked_again, result, further, .. } => {
            let again = (*asked > 0 || *asked_again).then(|| format!("asked {} times", (*asked + 1).max(2)));
            let cause = [again, result.clone()]
                .into_iter()
                .flatten()
                .chain(further.iter().cloned())
                .collect::<Vec<_>>()
                .join(", ");
            (Some(*step), Some(*attempt), false, (!cause.is_empty()).then_some(cause))
        }
        OrderEvent::StepRefused { step, attempt, code, detail } => {
            (Some(*step), Some(*attempt), false, Some(format!("{code}: {detail}")))
        }
        OrderEvent::StepUndone { step, attempt } => (Some(*step), Some(*attempt), true, None),
        OrderEvent::StepBroken { step, attempt, undo, why } => {
            (Some(*step), Some(*attempt), *undo, Some(why.clone()))
        }
        OrderEvent::CancelRequested { reason } => (None, None, true, Some(reason.clone())),
        OrderEvent::OrderResolved { how, reason } => {
            (None, None, false, Some(format!("{}: {reason}", how.as_str())))
        }
        OrderEvent::OrderShipped { .. } => (None, None, false, None),
        OrderEvent::OrderCancelled { cause } => (None, None, true, Some(cause.clone())),
    }
}
