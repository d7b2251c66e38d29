//! A carrier's request: a JSON object.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use serde_json::{Map, Value};

use crate::answer::{Answer, Trouble};
use crate::posted::{Envelope, Posted, attempt};
use crate::sandbox::Sandbox;
use crate::step::Party;

/// Where a request came from, and its object; an empty body is an empty object.
pub(crate) struct JsonCall {
    pub(super) posted: Posted,
    pub(super) object: Map<String, Value>,
}

impl FromRequest<Arc<Sandbox>> for JsonCall {
    type Rejection = Answer;

    async fn from_request(request: Request, _: &Arc<Sandbox>) -> Result<Self, Answer> {
        Self::read(request).await.map_err(|trouble| trouble.told_by(Party::Carrier))
    }
}

impl JsonCall {
    async fn read(request: Request) -> Result<Self, Trouble> {
        let bad = |reason: &str| Trouble::BadBody(reason.to_owned());
        let envelope = Envelope::read(request, "application/json").await?;
        let object: Map<String, Value> = match envelope.body.is_empty() {
            true => Map::new(),
            false => serde_json::from_slice(&envelope.body).map_err(|error| bad(&error.to_string()))?,
        };
        let canonical = serde_json_canonicalizer::to_vec(&object).map_err(|error| bad(&error.to_string()))?;
        let metadata = |name| object.get("metadata").and_then(|metadata| metadata.get(name)).and_then(text);
        let attempt =
            attempt(metadata("attempt").as_deref()).ok_or_else(|| bad("metadata.attempt counts from 1"))?;
        let posted = envelope.posted(Party::Carrier, &canonical, metadata("order"), attempt);
        Ok(Self { posted, object })
    }
}

/// Numbers are as good as their digits.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}
