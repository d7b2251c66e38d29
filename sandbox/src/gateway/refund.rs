//! `POST /v1/refunds`: give taken money back.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};

use super::form::{Fields, FormCall, amount};
use super::intent::no_such_intent;
use super::{Intent, Refund, Status};
use crate::answer::Answer;
use crate::book::Effect;
use crate::deliver::deliver;
use crate::ledger::{Ask, Stamp};
use crate::sandbox::Sandbox;
use crate::step::Step;
use crate::world::World;

struct GiveBack {
    intent: String,
    amount: Option<i64>,
    metadata: BTreeMap<String, String>,
}

/// Gives back all that was taken and not given back yet, or a part.
pub(crate) async fn refund(State(sandbox): State<Arc<Sandbox>>, call: FormCall) -> Response {
    match GiveBack::parse(call.fields) {
        Ok(ask) => deliver(sandbox, call.posted, ask).await,
        Err(answer) => answer.into_response(),
    }
}

impl GiveBack {
    fn parse(mut fields: Fields) -> Result<Self, Answer> {
        let intent = fields.required("payment_intent")?;
        let amount = fields.optional("amount").map(|text| amount("amount", &text)).transpose()?;
        fields.end()?;
        Ok(Self { intent, amount, metadata: fields.metadata })
    }

    fn refund(&self, intent: &Intent, amount: i64, stamp: &Stamp) -> Refund {
        Refund {
            id: stamp.id("re"),
            amount,
            currency: intent.currency.clone(),
            payment_intent: intent.id.clone(),
            created: stamp.at.unix_timestamp(),
            metadata: self.metadata.clone(),
        }
    }
}

impl Ask for GiveBack {
    fn step(&self) -> Step {
        Step::Refund
    }

    fn order_in(&self, world: &World) -> Option<String> {
        world.intent(&self.intent)?.metadata.get("order").cloned()
    }

    fn decide(&self, world: &World, stamp: &Stamp) -> Result<Effect, Answer> {
        let intent =
            world.intent(&self.intent).ok_or_else(|| no_such_intent(&self.intent, "payment_intent"))?;
        if intent.status != Status::Succeeded {
            return Err(intent.unexpected_state("refunded"));
        }
        let left = intent.amount_received - intent.amount_refunded;
        let amount = self.amount.unwrap_or(left);
        if left == 0 {
            return Err(refused("charge_already_refunded", "The charge has already been refunded."));
        }
        if amount > left {
            return Err(refused(
                "amount_too_large",
                "Refund amount is greater than unrefunded amount on charge.",
            ));
        }
        let refund = self.refund(intent, amount, stamp);
        let intent = Intent { amount_refunded: intent.amount_refunded + amount, ..intent.clone() };
        Ok(Effect::Refunded { intent, refund })
    }
}

fn refused(code: &str, message: &str) -> Answer {
    Answer::invalid(StatusCode::BAD_REQUEST, code, "amount", message)
}
