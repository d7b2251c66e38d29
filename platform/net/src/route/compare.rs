//! What one side says, held against the other's.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

use super::Side;

/// Places of one difference that are told.
const PLACES_MAX: usize = 8;

/// What came of a question in the shadow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shadowed {
    /// Both say the same.
    Same,
    /// What is asked about changed meanwhile: nothing can be told.
    Moved,
    /// The other side said nothing.
    Failed,
    /// At these places of the answers, which stood still.
    Different(Vec<String>),
}

/// A difference that was met: where, and never what stood there, since that may be somebody's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What was asked.
    pub operation: &'static str,
    /// JSON pointers (RFC 6901) into the answers, the first few.
    pub places: Vec<String>,
}

/// Compares what was said here with the other side's answer. Both are asked one after the other while the shop goes on: so a
/// difference counts only if it is still there when both are asked once more, and what is said here has not changed in between.
pub(super) async fn compared<F: Future<Output = Option<Value>>>(
    said: Value,
    ask: impl Fn(Side) -> F,
) -> Shadowed {
    match ask(Side::There).await {
        None => return Shadowed::Failed,
        Some(there) if there == said => return Shadowed::Same,
        Some(_) => {}
    }
    let (there, here) = (ask(Side::There).await, ask(Side::Here).await);
    match there.zip(here) {
        None => Shadowed::Failed,
        Some((there, here)) if there == here => Shadowed::Same,
        Some((_, here)) if here != said => Shadowed::Moved,
        Some((there, here)) => Shadowed::Different(differing(&here, &there)),
    }
}

fn differing(here: &Value, there: &Value) -> Vec<String> {
    let mut places = Vec::new();
    walk(here, there, &mut String::new(), &mut places);
    places
}

fn walk(here: &Value, there: &Value, at: &mut String, places: &mut Vec<String>) {
    if here == there || places.len() >= PLACES_MAX {
        return;
    }
    let length = at.len();
    match (here, there) {
        (Value::Object(here), Value::Object(there)) => {
            let names = here.keys().chain(there.keys().filter(|name| !here.contains_key(*name)));
            for name in names {
                let _ = write!(at, "/{}", name.replace('~', "~0").replace('/', "~1"));
                walk(
                    here.get(name).unwrap_or(&Value::Null),
                    there.get(name).unwrap_or(&Value::Null),
                    at,
                    places,
                );
                at.truncate(length);
            }
        }
        (Value::Array(here), Value::Array(there)) if here.len() == there.len() => {
            for (n, (here, there)) in here.iter().zip(there).enumerate() {
                let _ = write!(at, "/{n}");
                walk(here, there, at, places);
                at.truncate(length);
            }
        }
        _ => places.push(at.clone()),
    }
}
