//! `POST /v1/payment_intents`: hold money on a card.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse as _, Response};

use super::card::{Card, Decline};
use super::form::{Fields, FormCall, amount, bad};
use super::{Intent, Status};
use crate::answer::Answer;
use crate::book::Effect;
use crate::deliver::deliver;
use crate::ledger::{Ask, Stamp};
use crate::sandbox::Sandbox;
use crate::step::Step;
use crate::world::World;

struct Authorise {
    amount: i64,
    currency: String,
    payment_method: String,
    card: Card,
    metadata: BTreeMap<String, String>,
}

/// Creates and confirms a payment intent.
pub(crate) async fn authorise(State(sandbox): State<Arc<Sandbox>>, call: FormCall) -> Response {
    match Authorise::parse(call.fields) {
        Ok(ask) => deliver(sandbox, call.posted, ask).await,
        Err(answer) => answer.into_response(),
    }
}

impl Authorise {
    fn parse(mut fields: Fields) -> Result<Self, Answer> {
        let amount = amount("amount", &fields.required("amount")?)?;
        let currency = currency(&fields.required("currency")?)?;
        let payment_method = fields.required("payment_method")?;
        let card = Card::named(&payment_method).ok_or_else(|| {
            bad(
                "payment_method",
                &format!("No such PaymentMethod: '{payment_method}'; see the list of magic ones."),
            )
        })?;
        fields.fixed("capture_method", "manual")?;
        fields.fixed("confirm", "true")?;
        fields.end()?;
        Ok(Self { amount, currency, payment_method, card, metadata: fields.metadata })
    }

    fn intent(&self, stamp: &Stamp, decline: Option<Decline>) -> Intent {
        let held = decline.is_none();
        Intent {
            id: stamp.id("pi"),
            amount: self.amount,
            amount_capturable: if held { self.amount } else { 0 },
            amount_received: 0,
            amount_refunded: 0,
            currency: self.currency.clone(),
            payment_method: self.payment_method.clone(),
            status: if held { Status::RequiresCapture } else { Status::RequiresPaymentMethod },
            created: stamp.at.unix_timestamp(),
            canceled_at: None,
            metadata: self.metadata.clone(),
            last_payment_error: decline,
        }
    }
}

impl Ask for Authorise {
    fn step(&self) -> Step {
        Step::Authorise
    }

    fn slow(&self) -> bool {
        self.card == Card::Slow
    }

    fn never_answers(&self) -> bool {
        self.card == Card::Timeout
    }

    fn decide(&self, _: &World, stamp: &Stamp) -> Result<Effect, Answer> {
        let decline = match &self.card {
            Card::Declines(decline) => Some(decline.clone()),
            _ => stamp.refuse.then(Decline::generic),
        };
        let intent = self.intent(stamp, decline.clone());
        Ok(match decline {
            Some(decline) => Effect::Declined { intent, asked: self.amount, decline },
            None => Effect::Authorised { intent },
        })
    }
}

fn currency(text: &str) -> Result<String, Answer> {
    let letters = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    letters.then(|| text.to_ascii_lowercase()).ok_or_else(|| bad("currency", "A currency has three letters."))
}
