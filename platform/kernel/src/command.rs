//! A command: something one module asks of another, under an id that makes asking twice harmless.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Context, OrderId};

/// Order, step and attempt: who asks again with the same id asks the same question.
///
/// An attempt grows only by a recorded event; an unknown outcome is asked again under the same id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub struct CommandId {
    /// The order that asks.
    pub order: OrderId,
    /// The step's name, `[a-z_]{1,32}`.
    pub step: String,
    /// Counted from 1.
    pub attempt: u32,
}

/// Why a text is no [`CommandId`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a command id is ORDER/STEP/ATTEMPT")]
pub struct ParseCommandIdError;

/// What is asked, with its id and where it comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Command<T> {
    /// Under which a repeat is recognised.
    pub id: CommandId,
    /// Who asks, and in which trace.
    pub context: Context,
    /// What is asked.
    pub body: T,
}

impl CommandId {
    /// The id of `step` of `order`, counted from 1.
    #[must_use]
    pub fn new(order: OrderId, step: &str, attempt: u32) -> Self {
        Self { order, step: step.to_owned(), attempt }
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.order, self.step, self.attempt)
    }
}

impl FromStr for CommandId {
    type Err = ParseCommandIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut parts = text.split('/');
        let (Some(order), Some(step), Some(attempt), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(ParseCommandIdError);
        };
        let plain =
            (1..=32).contains(&step.len()) && step.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        match (order.parse(), attempt.parse()) {
            (Ok(order), Ok(attempt)) if plain => Ok(Self::new(order, step, attempt)),
            _ => Err(ParseCommandIdError),
        }
    }
}
