//! Entity tags (RFC 9110, section 8.8.3): an answer says which version it is, and who has that one is told so.

use axum::{
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};

/// For whom an answer may be kept, by whoever asks again before it is used.
#[derive(Clone, Copy)]
pub(super) enum KeptBy {
    /// Anybody: it is the same for all.
    Anybody,
    /// Who asked.
    Asker,
}

/// The headers of what stands at this version.
pub(super) fn tagged(version: i64, kept_by: KeptBy) -> HeaderMap {
    let kept = match kept_by {
        KeptBy::Anybody => "no-cache",
        KeptBy::Asker => "private, no-cache",
    };
    let mut headers = HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static(kept))]);
    // A number in quotes is always a header's value.
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{version}\"")) {
        headers.insert(header::ETAG, tag);
    }
    headers
}

/// What stands at this version, or that the asker has it.
pub(super) fn unless_known(
    asked: &HeaderMap,
    version: i64,
    kept_by: KeptBy,
    body: impl IntoResponse,
) -> Response {
    let headers = tagged(version, kept_by);
    if is_known(asked, version) {
        return (StatusCode::NOT_MODIFIED, headers).into_response();
    }
    (headers, body).into_response()
}

/// `If-None-Match`: `*`, or a list that may be spread over several lines, compared weakly (RFC 9110, section 13.1.2).
fn is_known(asked: &HeaderMap, version: i64) -> bool {
    let lines = asked.get_all(header::IF_NONE_MATCH).iter().filter_map(|line| line.to_str().ok());
    let mut tags = lines.flat_map(|line| line.split(',')).map(str::trim);
    tags.any(|tag| tag == "*" || tag.trim_start_matches("W/") == format!("\"{version}\""))
}
