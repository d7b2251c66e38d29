//! A payment intent and a refund: as kept in the book, and as shown to callers.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Decline;
use super::card::DISPUTES;
use crate::answer::Answer;

/// Where an intent stands, in Stripe's words.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The money is held.
    RequiresCapture,
    /// The money is taken.
    Succeeded,
    /// Nothing is held any more.
    Canceled,
    /// The card declined.
    RequiresPaymentMethod,
}

impl Status {
    const fn name(self) -> &'static str {
        match self {
            Self::RequiresCapture => "requires_capture",
            Self::Succeeded => "succeeded",
            Self::Canceled => "canceled",
            Self::RequiresPaymentMethod => "requires_payment_method",
        }
    }
}

/// A payment intent.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Intent {
    /// `pi_...`.
    pub id: String,
    /// What was asked for, in minor units.
    pub amount: i64,
    /// What is held.
    pub amount_capturable: i64,
    /// What was taken.
    pub amount_received: i64,
    /// What was given back; Stripe keeps it on the charge.
    pub amount_refunded: i64,
    /// Lower case.
    pub currency: String,
    /// The card.
    pub payment_method: String,
    /// Where it stands.
    pub status: Status,
    /// Seconds since 1970.
    pub created: i64,
    /// Seconds since 1970.
    pub canceled_at: Option<i64>,
    /// As sent with its creation.
    pub metadata: BTreeMap<String, String>,
    /// The last refusal.
    pub last_payment_error: Option<Decline>,
}

impl Intent {
    /// As Stripe shows it.
    pub(crate) fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "object": "payment_intent",
            "amount": self.amount,
            "amount_capturable": self.amount_capturable,
            "amount_received": self.amount_received,
            "amount_refunded": self.amount_refunded,
            "canceled_at": self.canceled_at,
            "capture_method": "manual",
            "created": self.created,
            "currency": self.currency,
            "last_payment_error": self.last_payment_error.as_ref().map(Decline::shown),
            "livemode": false,
            "metadata": self.metadata,
            "payment_method": self.payment_method,
            "status": self.status.name(),
        })
    }

    /// What its customer disputes, as Stripe shows it. It stands open for good.
    pub(crate) fn dispute(&self) -> Option<Value> {
        let disputed = self.payment_method == DISPUTES && self.amount_received > 0;
        disputed.then(|| {
            json!({
                "id": self.id.replacen("pi_", "dp_", 1),
                "object": "dispute",
                "amount": self.amount_received,
                "charge": self.id.replacen("pi_", "ch_", 1),
                "currency": self.currency,
                "metadata": {},
                "payment_intent": self.id,
                "reason": "fraudulent",
                "status": "needs_response",
            })
        })
    }

    /// 400 with the intent in it: it does not stand where the request needs it.
    pub(crate) fn unexpected_state(&self, wanted: &str) -> Answer {
        let message = format!(
            "This PaymentIntent could not be {wanted} because it has a status of {}.",
            self.status.name()
        );
        let mut answer =
            Answer::invalid(StatusCode::BAD_REQUEST, "payment_intent_unexpected_state", "intent", message);
        answer.body["error"]["payment_intent"] = self.shown();
        answer
    }
}

/// 404: there is no such intent.
pub(crate) fn no_such_intent(id: &str, param: &str) -> Answer {
    let message = format!("No such payment_intent: '{id}'");
    Answer::invalid(StatusCode::NOT_FOUND, "resource_missing", param, message)
}

/// Money given back.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Refund {
    /// `re_...`.
    pub id: String,
    /// In minor units.
    pub amount: i64,
    /// Lower case.
    pub currency: String,
    /// Of which intent.
    pub payment_intent: String,
    /// Seconds since 1970.
    pub created: i64,
    /// As sent.
    pub metadata: BTreeMap<String, String>,
}

impl Refund {
    /// As Stripe shows it.
    pub(crate) fn shown(&self) -> Value {
        json!({
            "id": self.id,
            "object": "refund",
            "amount": self.amount,
            "created": self.created,
            "currency": self.currency,
            "metadata": self.metadata,
            "payment_intent": self.payment_intent,
            "status": "succeeded",
        })
    }
}
