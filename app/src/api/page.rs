//! `GET /`: one plain page: documents, the latest orders, one order live.

use axum::{
    http::{HeaderValue, header},
    response::{Html, IntoResponse, Response},
};

const PAGE: &str = include_str!("page.html");

/// The page's script alone may run, nothing from elsewhere.
const POLICY: &str = "default-src 'none'; img-src 'self'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A tree, for the browser's tab: each asks for one.
const ICON: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><circle cx="8" cy="6" r="5" fill="#3a7d44"/><path d="M7 8h2v7H7zM3 9h1v5H3zm9 0h1v5h-1z" fill="#6b4f2a"/></svg>"##;

pub(crate) async fn icon() -> Response {
    let kept = (header::CACHE_CONTROL, "public, max-age=86400");
    ([(header::CONTENT_TYPE, "image/svg+xml"), kept], ICON).into_response()
}

pub(crate) async fn page() -> Response {
    ([(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY))], Html(PAGE)).into_response()
}
