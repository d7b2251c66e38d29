//! `POST /v1/payment_intents/{id}/cancel`: free held money.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};

use super::form::FormCall;
use super::intent::no_such_intent;
use super::{Intent, Status};
use crate::answer::Answer;
use crate::book::Effect;
use crate::deliver::deliver;
use crate::ledger::{Ask, Stamp};
use crate::sandbox::Sandbox;
use crate::step::Step;
use crate::world::World;

struct Void {
    id: String,
}

/// Cancels an intent of which nothing was taken.
pub(crate) async fn void(
    State(sandbox): State<Arc<Sandbox>>,
    Path(id): Path<String>,
    call: FormCall,
) -> Response {
    match call.fields.end() {
        Ok(()) => deliver(sandbox, call.posted, Void { id }).await,
        Err(answer) => answer.into_response(),
    }
}

impl Ask for Void {
    fn step(&self) -> Step {
        Step::Void
    }

    fn order_in(&self, world: &World) -> Option<String> {
        world.intent(&self.id)?.metadata.get("order").cloned()
    }

    fn decide(&self, world: &World, stamp: &Stamp) -> Result<Effect, Answer> {
        let intent = world.intent(&self.id).ok_or_else(|| no_such_intent(&self.id, "intent"))?;
        if matches!(intent.status, Status::Succeeded | Status::Canceled) {
            return Err(intent.unexpected_state("canceled"));
        }
        let cancelled = Intent {
            amount_capturable: 0,
            status: Status::Canceled,
            canceled_at: Some(stamp.at.unix_timestamp()),
            ..intent.clone()
        };
        Ok(Effect::Cancelled { intent: cancelled, released: intent.amount_capturable })
    }
}
