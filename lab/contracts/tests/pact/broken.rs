//! A provider that was broken on purpose is found out.

use axum::{
    body::{Body, to_bytes},
    extract::Request,
    middleware::{Next, from_fn},
    response::Response,
};

use crate::{inventory, verify::anybody};

/// Calls a field something else than was agreed.
async fn renamed(request: Request, next: Next, (agreed, otherwise): (&str, &str)) -> Response {
    let (mut head, body) = next.run(request).await.into_parts();
    let text = String::from_utf8(to_bytes(body, usize::MAX).await.expect("a body").into()).expect("text");
    head.headers.remove("content-length");
    Response::from_parts(
        head,
        Body::from(text.replace(&format!("\"{agreed}\":"), &format!("\"{otherwise}\":"))),
    )
}

async fn found_out(agreed: &'static str, otherwise: &'static str) -> Vec<String> {
    let provider = inventory::provider().await;
    let rename = from_fn(move |request, next| renamed(request, next, (agreed, otherwise)));
    let said = provider.with(|router| router.layer(rename)).verified(&anybody).await;
    assert!(!said.result, "{agreed} was called {otherwise}, and nobody noticed");
    said.errors.into_iter().map(|(interaction, _)| interaction).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_renames_a_field_is_found_out_where_it_is_used_and_nowhere_else() {
    let broken = found_out("expires_at", "until").await;
    let named = |operation: &str| broken.iter().any(|interaction| interaction.contains(operation));
    assert!(named("reserve, where tea") && named("facts"), "{broken:?}");
    assert!(!named("levels") && !named("confirm"), "{broken:?}");
}
