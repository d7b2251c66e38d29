//! Who did it and in which trace: carried by every command, event, log line and call to the outside.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, Type},
};
use uuid::Uuid;

use crate::{OrderId, stable_hash};

/// The target of spans that are told to whoever collects traces; everything of theirs is a field:
///
/// - `name`: what is done;
/// - `trace`: the span as a [`TraceParent`]; without it nothing is told, so what may come to nothing gets it last;
/// - `parent`: what it is done for, as a [`TraceParent`];
/// - `link`: what it was done together with, as a [`TraceParent`] of another trace;
/// - `kind`: `server`, `client` or `consumer`, where a process or a durable queue lies between;
/// - `error`: why it came to nothing, in a word of ours.
///
/// Any other field becomes an attribute. They hold ids and words of ours, never text that a person wrote.
pub const TRACED: &str = "banyan::trace";

/// What a principal may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Sees and changes own orders alone.
    Customer,
    /// Runs the shop.
    Staff,
    /// Another program that reads for the shop; it sees what staff see, but nothing with a name in it (mails, contacts), and changes
    /// nothing.
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

/// The recommendation's flag: it is collected.
const SAMPLED: u8 = 0x01;
/// A flag of our own, which never leaves the shop, see [`TraceParent::kept`].
const FORGOTTEN: u8 = 0x80;

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

    /// A span of a trace. No id is nought.
    #[must_use]
    pub fn new(trace: u128, span: u64, sampled: bool) -> Self {
        Self { trace: trace.max(1), span: span.max(1), flags: sampled.into() }
    }

    /// The order's own span in this trace: whoever knows the trace and the order can hang something below it.
    #[must_use]
    pub fn of_order(&self, order: OrderId) -> Self {
        let seed = [&self.trace.to_be_bytes()[..], order.0.as_bytes()].concat();
        Self { span: stable_hash(&seed).max(1), ..*self }
    }

    /// A trace of its own, for what is done for several at once; derived from the first of them and a name.
    #[must_use]
    pub fn apart(&self, name: &str) -> Self {
        let half = |part: &str| u128::from(self.child(&format!("{part} {name}")).span);
        let id = Uuid::from_u128(half("upper") << 64 | half("lower"));
        Self { flags: self.flags, ..Self::root(id) }
    }

    /// The order's own span, where a row kept the trace's id alone: whether it is collected was forgotten.
    #[must_use]
    pub fn kept(id: Uuid, order: OrderId) -> Self {
        Self { flags: SAMPLED | FORGOTTEN, ..Self::root(id).of_order(order) }
    }

    /// The same, kept out of what is collected: for what is asked over and over.
    #[must_use]
    pub fn unsampled(&self) -> Self {
        Self { flags: 0, ..*self }
    }

    /// Whether it is collected; none where that was forgotten, and who collects must decide again by the trace's id.
    #[must_use]
    pub fn is_sampled(&self) -> Option<bool> {
        (self.flags & FORGOTTEN == 0).then_some(self.flags & SAMPLED == SAMPLED)
    }

    /// As others read it: with the flags that the recommendation knows, and no other.
    #[must_use]
    pub fn for_others(&self) -> String {
        Self { flags: self.flags & SAMPLED, ..*self }.to_string()
    }

    /// Whether it stands for a whole trace ([`Self::root`]): what is done below it has no parent.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.span == Self::root(Uuid::from_u128(self.trace)).span
    }

    /// The trace's id, as a number.
    #[must_use]
    pub fn trace_id(&self) -> u128 {
        self.trace
    }

    /// The span's id, as a number.
    #[must_use]
    pub fn span_id(&self) -> u64 {
        self.span
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

    #[test]
    fn an_orders_span_is_known_to_whoever_knows_the_trace_and_the_order() {
        let (order, trace) = (OrderId(Uuid::from_u128(5)), TraceParent::root(Uuid::from_u128(7)));
        assert!(trace.is_root() && !trace.of_order(order).is_root());
        assert_eq!(trace.child("a request").of_order(order), trace.of_order(order));
        assert_ne!(trace.of_order(OrderId(Uuid::from_u128(6))), trace.of_order(order));
        let kept = TraceParent::kept(Uuid::from_u128(7), order);
        assert_eq!((kept.span_id(), kept.is_sampled()), (trace.of_order(order).span_id(), None));
        assert_eq!(kept.to_string().parse(), Ok(kept));
        assert_eq!(kept.for_others(), trace.of_order(order).to_string());
    }

    #[test]
    fn what_is_done_for_several_is_a_trace_apart() {
        let trace = TraceParent::root(Uuid::from_u128(7));
        assert_ne!(trace.apart("batch").correlation(), trace.correlation());
        assert_eq!(trace.apart("batch"), trace.apart("batch"));
        assert_eq!(trace.apart("batch").is_sampled(), Some(true));
        assert_eq!(trace.unsampled().apart("batch").is_sampled(), Some(false));
    }
}
