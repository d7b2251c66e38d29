//! A running shop, as the command line reaches it.

use std::time::Duration;

use banyan_kernel::{Actor, Clock, CustomerId, Role, SystemClock};
use banyan_net::{Keys, Problem};
use reqwest::{Method, RequestBuilder, Response};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Common;
use crate::place::{self, Running};

/// An audit of a large shop takes its time.
const TIME_OUT: Duration = Duration::from_secs(300);
const TOKEN_VALID: Duration = Duration::from_secs(3_600);

/// A shop's addresses and a staff token.
pub(crate) struct Client {
    pub(crate) running: Running,
    pub(crate) token: String,
    http: reqwest::Client,
}

/// A staff member's token, as this machine's user, made with the data folder's key.
pub(crate) fn staff_token(keys: &Keys, valid: Duration) -> Result<String, String> {
    let user = std::env::var("USER").ok().filter(|user| !user.is_empty() && user.len() <= 64);
    let actor = Actor { role: Role::Staff, id: user.unwrap_or_else(|| "operator".to_owned()) };
    keys.mint(&actor, SystemClock.now(), valid).map_err(|error| error.to_string())
}

/// A customer's token.
pub(crate) fn customer_token(keys: &Keys, customer: CustomerId, valid: Duration) -> Result<String, String> {
    let actor = Actor { role: Role::Customer, id: customer.to_string() };
    keys.mint(&actor, SystemClock.now(), valid).map_err(|error| error.to_string())
}

/// A service's token.
pub(crate) fn service_token(keys: &Keys, name: &str, valid: Duration) -> Result<String, String> {
    let actor = Actor { role: Role::Service, id: name.to_owned() };
    keys.mint(&actor, SystemClock.now(), valid).map_err(|error| error.to_string())
}

/// Where a data folder's key is.
pub(crate) fn key_file(common: &Common) -> std::path::PathBuf {
    common.data.join("token-key.pem")
}

/// The key of a data folder that a shop has used before; never makes one.
pub(crate) fn keys(common: &Common) -> Result<Keys, String> {
    let path = key_file(common);
    if !path.exists() {
        return Err(format!(
            "{} has no key yet: start a shop there first (banyan serve)",
            common.data.display()
        ));
    }
    Keys::open(&path).map_err(|error| error.to_string())
}

impl Client {
    /// Finds the shop of the data folder; the token is `BANYAN_TOKEN` or made with the folder's key.
    pub(crate) fn find(common: &Common) -> Result<Self, String> {
        let running =
            place::read::<Running>(&common.data, "running.json").map_err(|error| error.to_string())?;
        let running = running.ok_or_else(|| {
            format!("no shop has run in {}: banyan serve, or name another --data", common.data.display())
        })?;
        let token = match std::env::var("BANYAN_TOKEN") {
            Ok(token) => token,
            Err(_) => staff_token(&keys(common)?, TOKEN_VALID)?,
        };
        let http = banyan_net::client().timeout(TIME_OUT).build().map_err(|error| error.to_string())?;
        Ok(Self { running, token, http })
    }

    /// The same shop, as somebody else.
    pub(crate) fn with_token(self, token: String) -> Self {
        Self { token, ..self }
    }

    pub(crate) fn api(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.running.api)).bearer_auth(&self.token)
    }

    pub(crate) fn admin(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.running.admin)).bearer_auth(&self.token)
    }

    /// Sends; whatever is answered comes back.
    pub(crate) async fn ask(&self, request: RequestBuilder) -> Result<Response, String> {
        let away = |error: reqwest::Error| {
            let address = &self.running.api;
            format!("the shop at {address} does not answer; is it running? ({})", error.without_url())
        };
        request.send().await.map_err(away)
    }

    /// Sends; anything but success is the problem's sentence.
    pub(crate) async fn send(&self, request: RequestBuilder) -> Result<Response, String> {
        success(self.ask(request).await?).await
    }

    /// Sends, and reads the answer's JSON.
    pub(crate) async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, String> {
        let answer = self.send(request).await?;
        answer.json().await.map_err(|error| format!("the answer cannot be read: {}", error.without_url()))
    }

    pub(crate) async fn value(&self, request: RequestBuilder) -> Result<Value, String> {
        self.json(request).await
    }
}

/// The answer, or the sentence of its problem.
pub(crate) async fn success(answer: Response) -> Result<Response, String> {
    if answer.status().is_success() {
        return Ok(answer);
    }
    let status = answer.status();
    let problem: Option<Problem> = answer.json().await.ok();
    Err(problem.map_or_else(|| status.to_string(), |problem| problem.detail))
}
