//! `GET /v1/payment_intents/search?query=metadata['order']:'...'`: look-up by reference.
//!
//! Unlike Stripe's, which lags by up to a minute, it sees each charge that was answered.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};

use super::Intent;
use super::form::bad;
use crate::answer::Answer;
use crate::look_up::{LookUp, look_up};
use crate::sandbox::Sandbox;
use crate::step::Party;
use crate::world::World;

const MOST: usize = 100;

/// Lists the intents of an order, newest first; further clauses narrow them down.
pub(crate) async fn search(State(sandbox): State<Arc<Sandbox>>, call: LookUp) -> Response {
    let query = call.params.get("query").map(String::as_str).unwrap_or_default();
    let Some(clauses) = clauses(query) else {
        let message = "Want metadata['order']:'...', and more such clauses joined by AND.";
        return bad("query", message).into_response();
    };
    look_up(&sandbox, Party::Gateway, call, |world| found(world, &clauses)).await
}

fn found(world: &World, clauses: &[(String, String)]) -> Answer {
    let order = clauses.iter().find(|(key, _)| key == "order").map_or("", |(_, order)| order);
    let fits = |intent: &&Intent| clauses.iter().all(|(key, value)| intent.metadata.get(key) == Some(value));
    let found: Vec<Value> = world.intents_of_order(order).filter(fits).map(Intent::shown).collect();
    let more = found.len() > MOST;
    let data = &found[..found.len().min(MOST)];
    Answer::new(StatusCode::OK, json!({ "object": "search_result", "data": data, "has_more": more }))
}

/// The metadata clauses of a query; none unless the order is among them.
fn clauses(query: &str) -> Option<Vec<(String, String)>> {
    let clauses: Vec<_> = query.split(" AND ").map(clause).collect::<Option<_>>()?;
    clauses.iter().any(|(key, _)| key == "order").then_some(clauses)
}

fn clause(text: &str) -> Option<(String, String)> {
    let (key, value) = text.trim().strip_prefix("metadata[")?.split_once("]:")?;
    Some((quoted(key)?.to_owned(), quoted(value)?.to_owned()))
}

fn quoted(text: &str) -> Option<&str> {
    let inner = |quote| text.strip_prefix(quote)?.strip_suffix(quote);
    let inner: &str = inner('\'').or_else(|| inner('"'))?;
    (!inner.contains(['\'', '"'])).then_some(inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_strictly() {
        let one = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        assert_eq!(clauses("metadata['order']:'a-1'"), Some(vec![one("order", "a-1")]));
        let both = clauses("metadata[\"order\"]:\"a\" AND metadata['attempt']:'2'");
        assert_eq!(both, Some(vec![one("order", "a"), one("attempt", "2")]));
        for bad in ["", "order:a", "metadata['attempt']:'2'", "metadata['order']:'a", "metadata[order]:'a'"] {
            assert_eq!(clauses(bad), None, "{bad}");
        }
    }
}
