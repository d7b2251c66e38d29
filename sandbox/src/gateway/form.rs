//! A gateway's request: form fields, read as strictly as Stripe reads them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;

use crate::answer::{Answer, Trouble};
use crate::posted::{Envelope, Posted, attempt};
use crate::sandbox::Sandbox;
use crate::step::Party;

const MOST_METADATA: usize = 50;
const LONGEST_METADATA_KEY: usize = 40;
const LONGEST_METADATA_VALUE: usize = 500;

/// Fields that Stripe knows and that change nothing here.
const IGNORED: [&str; 12] = [
    "description",
    "statement_descriptor",
    "statement_descriptor_suffix",
    "customer",
    "receipt_email",
    "off_session",
    "return_url",
    "confirmation_method",
    "cancellation_reason",
    "reason",
    "payment_method_types[]",
    "expand[]",
];

/// Where a request came from, and its fields; each use case takes its own and then calls [`Fields::end`].
pub(crate) struct FormCall {
    pub(crate) posted: Posted,
    pub(crate) fields: Fields,
}

impl FromRequest<Arc<Sandbox>> for FormCall {
    type Rejection = Answer;

    async fn from_request(request: Request, _: &Arc<Sandbox>) -> Result<Self, Answer> {
        let told = |trouble: Trouble| trouble.told_by(Party::Gateway);
        let envelope = Envelope::read(request, "application/x-www-form-urlencoded").await.map_err(told)?;
        let fields = Fields::parse(&envelope.body)?;
        let sorted = serde_urlencoded::to_string(&fields.all).unwrap_or_default();
        let order = fields.metadata.get("order").cloned();
        let said = fields.metadata.get("attempt").map(String::as_str);
        let attempt = attempt(said.or_else(|| envelope.attempt_of_key())).ok_or_else(|| {
            let message = "metadata[attempt] is a whole number from 1.";
            Answer::invalid(StatusCode::BAD_REQUEST, "parameter_invalid", "metadata[attempt]", message)
        })?;
        let posted = envelope.posted(Party::Gateway, sorted.as_bytes(), order, attempt);
        Ok(Self { posted, fields })
    }
}

/// The fields of a form.
pub(crate) struct Fields {
    all: BTreeMap<String, String>,
    left: BTreeMap<String, String>,
    pub(crate) metadata: BTreeMap<String, String>,
}

impl Fields {
    fn parse(body: &[u8]) -> Result<Self, Answer> {
        let pairs: Vec<(String, String)> = serde_urlencoded::from_bytes(body)
            .map_err(|error| Trouble::BadBody(error.to_string()).told_by(Party::Gateway))?;
        let mut all = BTreeMap::new();
        for (name, value) in pairs {
            if all.insert(name.clone(), value).is_some() && !IGNORED.contains(&name.as_str()) {
                return Err(bad(&name, "This field is sent twice."));
            }
        }
        let mut left = all.clone();
        left.retain(|name, _| !IGNORED.contains(&name.as_str()));
        let metadata = take_metadata(&mut left)?;
        Ok(Self { all, left, metadata })
    }

    pub(crate) fn optional(&mut self, name: &str) -> Option<String> {
        self.left.remove(name)
    }

    pub(crate) fn required(&mut self, name: &str) -> Result<String, Answer> {
        self.optional(name).ok_or_else(|| {
            let message = format!("Missing required param: {name}.");
            Answer::invalid(StatusCode::BAD_REQUEST, "parameter_missing", name, message)
        })
    }

    /// A field that means something here with one value only.
    pub(crate) fn fixed(&mut self, name: &str, only: &str) -> Result<(), Answer> {
        if self.required(name)? == only {
            return Ok(());
        }
        Err(bad(name, &format!("This gateway takes {name}={only} only.")))
    }

    pub(crate) fn end(&self) -> Result<(), Answer> {
        let Some(name) = self.left.keys().next() else { return Ok(()) };
        let message = format!("Received unknown parameter: {name}");
        Err(Answer::invalid(StatusCode::BAD_REQUEST, "parameter_unknown", name, message))
    }
}

/// An amount in minor units, up to Stripe's eight digits.
pub(crate) fn amount(name: &str, text: &str) -> Result<i64, Answer> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let amount = text.parse().ok().filter(|amount| digits && (1..=99_999_999).contains(amount));
    amount.ok_or_else(|| {
        let message = format!("{name} is a whole number of minor units between 1 and 99999999.");
        Answer::invalid(StatusCode::BAD_REQUEST, "parameter_invalid_integer", name, message)
    })
}

/// 400 about one field.
pub(crate) fn bad(name: &str, message: &str) -> Answer {
    Answer::invalid(StatusCode::BAD_REQUEST, "parameter_invalid", name, message)
}

fn take_metadata(left: &mut BTreeMap<String, String>) -> Result<BTreeMap<String, String>, Answer> {
    let mut metadata = BTreeMap::new();
    for (name, value) in std::mem::take(left) {
        let Some(key) = name.strip_prefix("metadata[").and_then(|name| name.strip_suffix(']')) else {
            left.insert(name, value);
            continue;
        };
        if key.is_empty() || key.len() > LONGEST_METADATA_KEY || value.len() > LONGEST_METADATA_VALUE {
            return Err(bad(&name, "Metadata keys have up to 40 characters, values up to 500."));
        }
        metadata.insert(key.to_owned(), value);
    }
    if metadata.len() > MOST_METADATA {
        return Err(bad("metadata", "There are up to 50 metadata keys."));
    }
    Ok(metadata)
}
