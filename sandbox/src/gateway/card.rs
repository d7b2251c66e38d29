//! Magic payment methods: what a card does is in its name, as with Stripe's test cards.

use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Intent;
use crate::answer::Answer;

/// Why a card refused.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Decline {
    /// Stripe's error code.
    pub code: String,
    /// Stripe's decline code, where the error code does not say it all.
    pub decline_code: Option<String>,
    /// For people.
    pub message: String,
}

impl Decline {
    fn new(code: &str, decline_code: Option<&str>, message: &str) -> Self {
        Self { code: code.into(), decline_code: decline_code.map(Into::into), message: message.into() }
    }

    /// Declined without a reason, as a planned refusal is.
    pub(crate) fn generic() -> Self {
        Self::new("card_declined", Some("generic_decline"), "Your card was declined.")
    }

    pub(crate) fn shown(&self) -> Value {
        json!({
            "type": "card_error",
            "code": self.code,
            "decline_code": self.decline_code,
            "message": self.message,
        })
    }

    /// 402 with the intent in it.
    pub(crate) fn answer(&self, intent: &Intent) -> Answer {
        let mut error = self.shown();
        error["payment_intent"] = intent.shown();
        Answer::new(StatusCode::PAYMENT_REQUIRED, json!({ "error": error }))
    }
}

/// The card whose customer disputes each payment, as soon as it is taken.
pub(crate) const DISPUTES: &str = "pm_card_createDispute";

/// What a card does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Card {
    /// All goes well.
    Good,
    /// The authorisation is declined.
    Declines(Decline),
    /// Authorises after `slow_ms`.
    Slow,
    /// Authorises; each capture is declined.
    CaptureFails,
    /// Authorises, and the first answer never comes.
    Timeout,
}

impl Card {
    /// What the card of this name does; none if there is no such card.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name {
            "pm_card_visa" | "pm_card_visa_debit" | "pm_card_mastercard" | "pm_card_amex" => Some(Self::Good),
            DISPUTES => Some(Self::Good),
            "pm_sandbox_slow" => Some(Self::Slow),
            "pm_sandbox_captureFails" => Some(Self::CaptureFails),
            "pm_sandbox_timeout" => Some(Self::Timeout),
            _ => decline_of(name).map(Self::Declines),
        }
    }
}

fn decline_of(name: &str) -> Option<Decline> {
    let card = name.strip_prefix("pm_card_")?;
    let card = card.strip_prefix("visa_").unwrap_or(card);
    let plain = |decline_code| Decline::new("card_declined", Some(decline_code), "Your card was declined.");
    Some(match card {
        "chargeDeclined" => Decline::generic(),
        "chargeDeclinedInsufficientFunds" => {
            Decline::new("card_declined", Some("insufficient_funds"), "Your card has insufficient funds.")
        }
        "chargeDeclinedLostCard" => plain("lost_card"),
        "chargeDeclinedStolenCard" => plain("stolen_card"),
        "chargeDeclinedVelocityLimitExceeded" => plain("card_velocity_exceeded"),
        "chargeDeclinedFraudulent" => plain("fraudulent"),
        "chargeDeclinedExpiredCard" => Decline::new("expired_card", None, "Your card has expired."),
        "chargeDeclinedIncorrectCvc" => {
            Decline::new("incorrect_cvc", None, "Your card's security code is incorrect.")
        }
        "chargeDeclinedProcessingError" => {
            Decline::new("processing_error", None, "An error occurred while processing your card.")
        }
        _ => return None,
    })
}
