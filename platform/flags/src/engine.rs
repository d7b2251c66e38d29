//! Unleash's own engine, without what would fetch anything for it.

use async_trait::async_trait;
use serde_json::{Value, json};
use unleash_api_client::{
    client::{Client, ClientBuilder, FeatureKey},
    context::Context,
    http::{Request, Response, Transport, TransportRef},
};
use unleash_types::client_features::ClientFeatures;

/// Flags are named by texts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum ByName {}

impl FeatureKey for ByName {
    fn name(self) -> &'static str {
        match self {}
    }
}

/// Nothing is fetched from anywhere.
struct Nowhere;

#[async_trait]
impl Transport for Nowhere {
    async fn execute(&self, _: Request) -> Result<Response, anyhow::Error> {
        anyhow::bail!("flags from files are not fetched")
    }
}

/// The engine, as a client of itself.
pub(crate) fn offline() -> Client<ByName> {
    client(
        String::new(),
        None,
        std::sync::Arc::new(Nowhere),
        ClientBuilder::default().disable_metric_submission(),
    )
}

pub(crate) fn client(
    url: String,
    token: Option<String>,
    transport: TransportRef,
    builder: ClientBuilder,
) -> Client<ByName> {
    let client = builder
        .enable_string_features()
        .into_client_with_transport(&url, "banyan", "banyan", token, transport);
    client.unwrap_or_else(|error| unreachable!("it is only put together here: {error}"))
}

/// These features are what holds now.
pub(crate) fn take(client: &Client<ByName>, features: &[Value]) {
    let features = json!({"version": 2, "features": features});
    match serde_json::from_value::<ClientFeatures>(features) {
        Ok(features) => {
            let _ = client.memoize(features);
        }
        // Each was parsed before it came here.
        Err(error) => tracing::error!(%error, correlation = "", "flags that were parsed are none"),
    }
}

/// The variant that a key has.
pub(crate) fn variant(client: &Client<ByName>, flag: &str, key: Option<&str>) -> Option<String> {
    let context = Context { user_id: key.map(str::to_owned), ..Context::default() };
    let variant = client.get_variant_str(flag, &context);
    variant.enabled.then_some(variant.name)
}
