//! Query parameters: what is wrong with one is said in the words of who sends it.

use axum::{
    extract::{FromRequestParts, Query},
    http::{StatusCode, request::Parts},
};
use banyan_net::Problem;
use serde::de::DeserializeOwned;

/// The parameters of a request, each once, and none that nobody knows.
pub(crate) struct Asked<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Asked<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let wrong = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "invalid_query", detail);
        if !is_text(parts.uri.query().unwrap_or_default()) {
            return Err(wrong("the parameters are no text in UTF-8".to_owned()));
        }
        let query = Query::try_from_uri(&parts.uri).map_err(|error| wrong(plainly(&error.body_text())))?;
        Ok(Self(query.0))
    }
}

/// What is behind the percent signs is UTF-8: else it would be read as something else than was sent.
fn is_text(query: &str) -> bool {
    let mut bytes = Vec::with_capacity(query.len());
    let mut rest = query.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let behind = after.get(..2).filter(|_| *first == b'%');
        let byte = behind.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        bytes.push(byte.unwrap_or(*first));
        rest = if byte.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).is_ok()
}

fn plainly(said: &str) -> String {
    let said = said.strip_prefix("Failed to deserialize query string: ").unwrap_or(said);
    let (field, why) = said.split_once(": ").unwrap_or(("", said));
    let has = |words: &[&str]| words.iter().any(|words| why.contains(words));
    if has(&["digit found", "fit in target type", "from empty string"]) {
        return format!("{field} is no whole number, or one that is too large");
    }
    if has(&["component could not be parsed", "not in range", "unexpected trailing", "offset"]) {
        return format!("{field} is a moment as RFC 3339 has it, such as 2026-01-31T12:00:00Z");
    }
    if has(&["UUID parsing failed"]) {
        return format!("{field} is a UUID");
    }
    if let Some(rest) = why.strip_prefix("unknown field ") {
        return format!("there is no parameter {rest}");
    }
    if let Some(name) = why.strip_prefix("duplicate field ") {
        return format!("{name} is there twice");
    }
    said.replace("unknown variant", "unknown value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_utf_8_behind_its_percent_signs_is_no_text() {
        for text in ["", "search=%C3%A4pfel", "a=%", "a=%2", "a=%zz", "a=100%25", "a=%E2%82%AC"] {
            assert!(is_text(text), "{text}");
        }
        for bytes in ["a=%FF", "a=%C3", "a=%C3%28", "a=%ED%A0%80"] {
            assert!(!is_text(bytes), "{bytes}");
        }
    }
}
