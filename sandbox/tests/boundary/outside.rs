//! A sandbox under test, and a caller of it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use banyan_sandbox::{Clock, Config, Moment, ServeError, serve};
use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::{OffsetDateTime, macros::datetime};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub const SECRET: &str = "sk_test_outside";
pub const CONTROL: &str = "control-token";

/// A clock that moves when told to.
pub struct HandClock(Mutex<Duration>);

impl HandClock {
    pub fn pass(&self, time: Duration) {
        *self.0.lock().unwrap() += time;
    }
}

impl Clock for HandClock {
    fn now(&self) -> Moment {
        let uptime = *self.0.lock().unwrap();
        const START: OffsetDateTime = datetime!(2026-01-05 09:00 UTC);
        Moment { wall: START + uptime, uptime }
    }
}

/// An answer, read whole.
#[derive(Debug)]
pub struct Got {
    pub status: u16,
    pub replayed: bool,
    pub body: Value,
}

impl Got {
    pub fn id(&self) -> &str {
        self.body["id"].as_str().expect("an id")
    }

    pub fn code(&self) -> &str {
        self.body["error"]["code"].as_str().or(self.body["code"].as_str()).unwrap_or_default()
    }
}

pub struct Outside {
    pub clock: Arc<HandClock>,
    pub client: Client,
    address: SocketAddr,
    config: Config,
    folder: Arc<TempDir>,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<(), ServeError>>,
}

impl Outside {
    pub async fn start() -> Self {
        Self::with("none").await
    }

    pub async fn with(profile: &str) -> Self {
        Self::tweaked(|config| config.profile = profile.parse().unwrap()).await
    }

    pub async fn tweaked(tweak: impl FnOnce(&mut Config)) -> Self {
        let folder = Arc::new(tempfile::tempdir().unwrap());
        let clock = Arc::new(HandClock(Mutex::new(Duration::ZERO)));
        Self::run(folder, clock, tweak).await.unwrap()
    }

    async fn run(
        folder: Arc<TempDir>,
        clock: Arc<HandClock>,
        tweak: impl FnOnce(&mut Config),
    ) -> Result<Self, ServeError> {
        let mut config = Config::new(folder.path().join("book"), SECRET, CONTROL);
        (config.late_ms, config.very_late_ms, config.slow_ms, config.seed) = (30, 60, 300, 7);
        tweak(&mut config);
        let (stop, stopped) = oneshot::channel::<()>();
        let (ready, bound) = oneshot::channel();
        let stopped = async { drop(stopped.await) };
        let running =
            serve(config.clone(), clock.clone(), move |address| ready.send(address).unwrap(), stopped);
        let running = tokio::spawn(running);
        let Ok(address) = bound.await else { return Err(running.await.unwrap().unwrap_err()) };
        // A workspace's features are one: where another crate wants TLS, every client does.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().unwrap();
        Ok(Self { clock, client, address, config, folder, stop: Some(stop), running })
    }

    pub async fn stop(mut self) -> (Arc<TempDir>, Arc<HandClock>) {
        drop(self.stop.take());
        self.running.await.unwrap().unwrap();
        (self.folder, self.clock)
    }

    /// Starts again as it was started.
    pub async fn restart(self) -> Self {
        let config = self.config.clone();
        let (folder, clock) = self.stop().await;
        Self::run(folder, clock, |again| *again = config).await.unwrap()
    }

    pub async fn start_in(folder: Arc<TempDir>, clock: Arc<HandClock>) -> Result<Self, ServeError> {
        Self::run(folder, clock, |_| ()).await
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let token = if path.starts_with("/sandbox") { CONTROL } else { SECRET };
        self.client.request(method, format!("http://{}{path}", self.address)).bearer_auth(token)
    }

    pub fn form(&self, path: &str, key: &str, fields: &[(&str, &str)]) -> RequestBuilder {
        let body = serde_urlencoded::to_string(fields).unwrap();
        let request = self.request(Method::POST, path).header("Idempotency-Key", key);
        request.header("Content-Type", "application/x-www-form-urlencoded").body(body)
    }

    pub fn charging(&self, key: &str, order: &str, card: &str) -> RequestBuilder {
        self.form("/v1/payment_intents", key, &charge(order, card))
    }

    pub async fn charge(&self, key: &str, order: &str) -> Got {
        got(self.charging(key, order, "pm_card_visa")).await
    }

    /// Captures, cancels: what is asked of an intent.
    pub async fn ask(&self, key: &str, id: &str, what: &str) -> Got {
        got(self.form(&format!("/v1/payment_intents/{id}/{what}"), key, &[("metadata[attempt]", "1")])).await
    }

    pub fn booking(&self, key: &str, order: &str) -> RequestBuilder {
        let body = json!({
            "reference": order,
            "customer": "customer-1",
            "lines": [{ "sku": "apple", "quantity": 2 }],
            "metadata": { "order": order, "step": "book", "attempt": 1 },
        });
        self.request(Method::POST, "/carrier/v1/shipments").header("Idempotency-Key", key).json(&body)
    }

    pub async fn get(&self, path: &str) -> Got {
        got(self.request(Method::GET, path)).await
    }

    /// The kinds in the book, in its order.
    pub async fn kinds(&self) -> Vec<String> {
        let page = self.get("/sandbox/book?limit=5000").await;
        let entries = page.body["entries"].as_array().unwrap();
        entries.iter().map(|entry| entry["kind"].as_str().unwrap().to_owned()).collect()
    }

    pub async fn cell(&self, step: &str, kind: &str) -> Value {
        self.get("/sandbox/faults").await.body["steps"][step][kind].clone()
    }
}

pub fn charge<'a>(order: &'a str, card: &'a str) -> [(&'a str, &'a str); 8] {
    [
        ("amount", "1999"),
        ("currency", "GBP"),
        ("payment_method", card),
        ("capture_method", "manual"),
        ("confirm", "true"),
        ("metadata[order]", order),
        ("metadata[step]", "authorise"),
        ("metadata[attempt]", "1"),
    ]
}

pub async fn got(request: RequestBuilder) -> Got {
    read(request.send().await.unwrap()).await
}

pub async fn read(response: reqwest::Response) -> Got {
    let status = response.status().as_u16();
    let replayed = response.headers().contains_key("Idempotent-Replayed");
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Got { status, replayed, body }
}
