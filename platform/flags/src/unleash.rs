//! Flags from an Unleash server.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;
use unleash_api_client::{
    client::{Client, ClientBuilder},
    http::{Method, Request, Response, Transport},
};
use unleash_types::client_features::ClientFeatures;

use crate::{
    Files, Flags, SaidBy, State, TurnError,
    engine::{self, ByName},
    export::weights_of,
};

/// Of an answer of the server's.
const BODY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Which server.
#[derive(Clone)]
pub struct UnleashConfig {
    /// `http://HOST:PORT/api`.
    pub url: String,
    /// A client (backend) token.
    pub token: String,
    /// Between two questions.
    pub every: Duration,
}

impl std::fmt::Debug for UnleashConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UnleashConfig").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Flags from a server; from the files until it has answered once, and as it said last while it is away or answers rubbish.
pub struct Unleash {
    url: String,
    client: Client<ByName>,
    files: Arc<Files>,
    heard: Arc<Mutex<Option<Vec<State>>>>,
}

/// The way to the server. The client's own takes whatever comes, of any status and length.
struct Bounded {
    client: reqwest::Client,
    time_out: Duration,
    heard: Arc<Mutex<Option<Vec<State>>>>,
}

impl Unleash {
    /// By this HTTP client. Nothing is asked yet.
    #[must_use]
    pub fn new(config: UnleashConfig, client: reqwest::Client, files: Arc<Files>) -> Self {
        let heard = Arc::new(Mutex::new(None));
        let transport =
            Bounded { client, time_out: config.every.max(Duration::from_secs(1)), heard: heard.clone() };
        let every_ms = u64::try_from(config.every.as_millis()).unwrap_or(u64::MAX);
        let builder = ClientBuilder::default().interval(every_ms);
        let client = engine::client(config.url.clone(), Some(config.token), Arc::new(transport), builder);
        // Between the server's first answer and the engine that has it lies a moment.
        engine::take(&client, &files.flags().into_iter().map(|flag| flag.feature).collect::<Vec<_>>());
        Self { url: config.url, client, files, heard }
    }

    /// Asks again and again, until it is stopped.
    pub async fn follow(self: Arc<Self>, stop: CancellationToken) {
        let asked = async {
            if let Err(error) = self.client.register().await {
                tracing::warn!(%error, correlation = "", "Unleash does not answer: flags are as the files say until it does");
            }
            self.client.poll_for_updates().await;
        };
        stop.run_until_cancelled(asked).await;
    }

    fn heard(&self) -> MutexGuard<'_, Option<Vec<State>>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Bounded {
    async fn body(&self, request: Request) -> Result<Response, anyhow::Error> {
        let mut builder = match request.method {
            Method::Get => self.client.get(&request.url),
            Method::Post => self.client.post(&request.url),
        };
        for (name, value) in request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.header("content-type", "application/json").body(body);
        }
        let mut response = builder.timeout(self.time_out).send().await?.error_for_status()?;
        let (status, mut body) = (response.status().as_u16(), Vec::new());
        while let Some(part) = response.chunk().await? {
            body.extend_from_slice(&part);
            anyhow::ensure!(body.len() <= BODY_BYTES_MAX, "an answer of more than {BODY_BYTES_MAX} bytes");
        }
        Ok(Response { status, body })
    }
}

#[async_trait]
impl Transport for Bounded {
    async fn execute(&self, request: Request) -> Result<Response, anyhow::Error> {
        let is_of_flags = request.method == Method::Get;
        let answered = self.body(request).await;
        let response = answered.inspect_err(
            |error| tracing::warn!(%error, correlation = "", "flags stay as they were: Unleash"),
        )?;
        if is_of_flags {
            let features: ClientFeatures = serde_json::from_slice(&response.body)?;
            *self.heard.lock().unwrap_or_else(PoisonError::into_inner) = Some(states(&features));
        }
        Ok(response)
    }
}

fn states(features: &ClientFeatures) -> Vec<State> {
    let state = |feature: &unleash_types::client_features::ClientFeature| State {
        name: feature.name.clone(),
        enabled: feature.enabled,
        weights: weights_of(feature),
        said_by: SaidBy::Unleash,
    };
    features.features.iter().map(state).collect()
}

impl Flags for Unleash {
    fn variant(&self, flag: &str, key: Option<&str>) -> Option<String> {
        if self.heard().is_none() {
            return self.files.variant(flag, key);
        }
        engine::variant(&self.client, flag, key)
    }

    fn states(&self) -> Vec<State> {
        self.heard().clone().unwrap_or_else(|| self.files.states())
    }

    fn may_turn(&self, flag: &str, _: &BTreeMap<&str, u16>) -> Result<(), TurnError> {
        Err(TurnError::Elsewhere(self.url.clone(), flag.to_owned()))
    }

    fn turn(&self, flag: &str, weights: &BTreeMap<&str, u16>) -> Result<(), TurnError> {
        self.may_turn(flag, weights)
    }
}
