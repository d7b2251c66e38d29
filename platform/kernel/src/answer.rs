//! What a port answers, per item of a batch.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The answer to one item. Which of the five it is decides what the asker does next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer<T> {
    /// Done, now or before: the reply is the same each time.
    Done(T),
    /// Under way. Ask again with the same id; nobody waits for another's call.
    Pending,
    /// Refused for good: compensate.
    Rejected(Refusal),
    /// Nobody could say. Ask again later with the same id.
    Unavailable(String),
    /// It cannot be told what happened, and asking again will not help: stop, and wake somebody.
    Broken(String),
}

/// Why something was refused: a code to act on and a sentence to read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Refusal {
    /// `snake_case`, part of the contract: `out_of_stock`, `card_declined`.
    pub code: Cow<'static, str>,
    /// For people; no personal data.
    pub detail: String,
}

impl Refusal {
    /// What a do answers that finds its undo's tombstone.
    pub const CANCELLED: &'static str = "cancelled";
    /// What a command answers whose row was trimmed long ago.
    pub const EXPIRED: &'static str = "expired";

    /// A refusal with its code and sentence.
    pub fn new(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self { code: code.into(), detail: detail.into() }
    }

    /// The do came after its undo.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::new(Self::CANCELLED, "it was undone before it was asked for")
    }
}

impl<T> Answer<T> {
    /// Refused, with a code and a sentence.
    pub fn rejected(code: impl Into<Cow<'static, str>>, detail: impl Into<String>) -> Self {
        Self::Rejected(Refusal::new(code, detail))
    }

    /// The same answer about another type.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Self::Done(reply) => Answer::Done(f(reply)),
            Self::Pending => Answer::Pending,
            Self::Rejected(refusal) => Answer::Rejected(refusal),
            Self::Unavailable(why) => Answer::Unavailable(why),
            Self::Broken(why) => Answer::Broken(why),
        }
    }
}
