//! Who did it and in which trace: carried by every command, event, log line and call to the outside.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};
use uuid::Uuid;

use crate::stable_hash;

/// What a principal may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees and changes own orders alone.
    Customer,
    /// Runs the shop.
    Staff,
    /// Another program that reads for the shop; it sees what staff see, and changes nothing.
    Service,
    /// The shop itself: saga, reconcilers, consumers.
    System,
}

/// Who did it: a role and an id without personal data.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
pub struct Actor {
    /// In which role.
    pub role: Role,
    /// A customer's UUID, a staff member's login, a part of the shop.
    pub id: String,
}

/// W3C Trace Context, version 00: <https://www.w3.org/TR/trace-context/>.
///
/// The trace id doubles as the correlation id: one id for logs, events, traces and support.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TraceParent {
    trace: u128,
    span: u64,
    flags: u8,
}

/// Why a text is no [`TraceParent`].
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a traceparent is 00-{{32 hex}}-{{16 hex}}-{{2 hex}}, ids not all zero")]
pub struct ParseTraceParentError;

/// Who asks, in which trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Context {
    /// Who.
    pub actor: Actor,
    /// The span that caused this.
    pub trace: TraceParent,
}

impl Actor {
    /// A part of the shop itself.
    #[must_use]
    pub fn system(part: &str) -> Self {
        Self { role: Role::System, id: part.to_owned() }
    }
}

impl Role {
    /// Its name in tokens, logs and rows.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Staff => "staff",
            Self::Service => "service",
            Self::System => "system",
        }
    }
}

impl fmt::Display for Actor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.role.as_str(), self.id)
    }
}

impl FromStr for Actor {
    type Err = ParseTraceParentError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (role, id) = text.split_once(':').ok_or(ParseTraceParentError)?;
        let role = match role {
            "customer" => Role::Customer,
            "staff" => Role::Staff,
            "service" => Role::Service,
            "system" => Role::System,
            _ => return Err(ParseTraceParentError),
        };
        Ok(Self { role, id: id.to_owned() })
    }
}

impl Context {
    /// The shop itself, acting in this trace.
    #[must_use]
    pub fn system(part: &str, trace: TraceParent) -> Self {
        Self { actor: Actor::system(part), trace }
    }
}

impl TraceParent {
    /// A sampled root whose trace id is `id`: an order that came without a trace starts its own.
    #[must_use]
    pub fn root(id: Uuid) -> Self {
        let trace = id.as_u128().max(1);
        Self { trace, span: stable_hash(id.as_bytes()).max(1), flags: 1 }
    }

    /// The span called `name` under this one; derived, so that a repeat names the same span.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        let seed = [&self.trace.to_be_bytes()[..], &self.span.to_be_bytes()[..], name.as_bytes()].concat();
        Self { span: stable_hash(&seed).max(1), ..*self }
    }

    /// The trace id in hexadecimal: the correlation id.
    #[must_use]
    pub fn correlation(&self) -> String {
        format!("{:032x}", self.trace)
    }
}

impl PartialSchema for TraceParent {
    fn schema() -> RefOr<Schema> {
        let pattern = "^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$";
        ObjectBuilder::new().schema_type(Type::String).pattern(Some(pattern)).into()
    }
}

impl ToSchema for TraceParent {}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace, self.span, self.flags)
    }
}

impl FromStr for TraceParent {
    type Err = ParseTraceParentError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = text.len() == 55 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'));
        let parts: Vec<&str> = text.split('-').collect();
        let [version, trace, span, flags] = parts[..] else { return Err(ParseTraceParentError) };
        if !plain || version != "00" || (trace.len(), span.len(), flags.len()) != (32, 16, 2) {
            return Err(ParseTraceParentError);
        }
        let parsed = Self {
            trace: u128::from_str_radix(trace, 16).map_err(|_| ParseTraceParentError)?,
            span: u64::from_str_radix(span, 16).map_err(|_| ParseTraceParentError)?,
            flags: u8::from_str_radix(flags, 16).map_err(|_| ParseTraceParentError)?,
        };
        if parsed.trace == 0 || parsed.span == 0 { Err(ParseTraceParentError) } else { Ok(parsed) }
    }
}

impl TryFrom<String> for TraceParent {
    type Error = ParseTraceParentError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<TraceParent> for String {
    fn from(trace: TraceParent) -> Self {
        trace.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_is_what_the_recommendation_says() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let parsed: TraceParent = good.parse().unwrap();
        assert_eq!(parsed.to_string(), good);
        assert_eq!(parsed.correlation(), "4bf92f3577b34da6a3ce929d0e0e4736");
        for bad in [
            "",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e47360-0f067aa0ba902b7-01",
        ] {
            assert!(bad.parse::<TraceParent>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_child_stays_in_its_trace_and_is_the_same_when_asked_again() {
        let root = TraceParent::root(Uuid::from_u128(7));
        assert_eq!(root.child("reserve"), root.child("reserve"));
        assert_ne!(root.child("reserve"), root.child("book"));
        assert_eq!(root.child("reserve").correlation(), root.correlation());
    }
}
