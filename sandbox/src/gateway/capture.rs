//! `POST /v1/payment_intents/{id}/capture`: take held money.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::{IntoResponse as _, Response};

use super::card::{Card, Decline};
use super::form::{Fields, FormCall, amount, bad};
use super::intent::no_such_intent;
use super::{Intent, Status};
use crate::answer::Answer;
use crate::book::Effect;
use crate::deliver::deliver;
use crate::ledger::{Ask, Stamp};
use crate::sandbox::Sandbox;
use crate::step::Step;
use crate::world::World;

struct Capture {
    id: String,
    amount: Option<i64>,
}

/// Takes all that is held, or a part; the rest is free again.
pub(crate) async fn capture(
    State(sandbox): State<Arc<Sandbox>>,
    Path(id): Path<String>,
    call: FormCall,
) -> Response {
    match Capture::parse(id, call.fields) {
        Ok(ask) => deliver(sandbox, call.posted, ask).await,
        Err(answer) => answer.into_response(),
    }
}

impl Capture {
    fn parse(id: String, mut fields: Fields) -> Result<Self, Answer> {
        const AMOUNT: &str = "amount_to_capture";
        let amount = fields.optional(AMOUNT).map(|text| amount(AMOUNT, &text)).transpose()?;
        fields.end()?;
        Ok(Self { id, amount })
    }
}

impl Ask for Capture {
    fn step(&self) -> Step {
        Step::Capture
    }

    fn order_in(&self, world: &World) -> Option<String> {
        world.intent(&self.id)?.metadata.get("order").cloned()
    }

    fn decide(&self, world: &World, stamp: &Stamp) -> Result<Effect, Answer> {
        let intent = world.intent(&self.id).ok_or_else(|| no_such_intent(&self.id, "intent"))?;
        if intent.status != Status::RequiresCapture {
            return Err(intent.unexpected_state("captured"));
        }
        let taken = self.amount.unwrap_or(intent.amount_capturable);
        if taken > intent.amount_capturable {
            return Err(bad("amount_to_capture", "More than is held cannot be captured."));
        }
        if stamp.refuse || Card::named(&intent.payment_method) == Some(Card::CaptureFails) {
            return Ok(declined(intent, taken));
        }
        Ok(Effect::Captured { intent: captured(intent, taken) })
    }
}

fn captured(intent: &Intent, taken: i64) -> Intent {
    Intent { amount_capturable: 0, amount_received: taken, status: Status::Succeeded, ..intent.clone() }
}

/// The money stays held: a capture may be tried again, and the intent can be cancelled.
fn declined(intent: &Intent, asked: i64) -> Effect {
    let decline = Decline::generic();
    let intent = Intent { last_payment_error: Some(decline.clone()), ..intent.clone() };
    Effect::Declined { intent, asked, decline }
}
