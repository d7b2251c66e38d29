//! A real Unleash server on the stage.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

use nix::sys::signal::Signal;
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};

use super::{ShopClient, Stage, free_port, marked, process::Process, until};

const OPEN: Duration = Duration::from_secs(60);
/// Who may take flags in is a person: no token may.
const ADMIN: (&str, &str) = ("admin", "of-the-stage-alone");
const BACKEND: &str = "default:development.backend-of-the-stage";
const FRONTEND: &str = "default:development.frontend-of-the-stage";

/// A server of flags, on a database of its own.
pub struct Unleash {
    /// `http://HOST:PORT/api`.
    pub url: String,
    child: Child,
    http: Client,
    /// A person's, logged in.
    session: String,
}

/// Where `lab/unleash.sh` puts it.
fn server() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/tools/unleash-8.2.0/node_modules/unleash-server/dist/server.js")
}

impl Unleash {
    /// Starts one on the private PostgreSQL of this shop, and returns when it answers.
    ///
    /// # Errors
    /// When it was never fetched.
    ///
    /// # Panics
    /// When it does not answer.
    pub async fn start(stage: &Stage, shop: &ShopClient) -> Result<Self, String> {
        let server = server();
        if !server.exists() {
            return Err("there is no Unleash: sh lab/unleash.sh target/tools/unleash-8.2.0".to_owned());
        }
        shop.create_database("unleash").await;
        let port = free_port();
        let mut command = marked(Path::new("node"), stage.folder(), &[]);
        let log = std::fs::File::create(stage.folder().join("unleash.log")).expect("a log");
        command.arg(server).process_group(0).stdout(Stdio::null()).stderr(log).envs([
            ("DATABASE_URL", shop.database_url_of("unleash")),
            ("DATABASE_SSL", "false".to_owned()),
            ("HTTP_HOST", "127.0.0.1".to_owned()),
            ("HTTP_PORT", port.to_string()),
            ("CHECK_VERSION", "false".to_owned()),
            ("SEND_TELEMETRY", "false".to_owned()),
            ("AUTH_TYPE", "open-source".to_owned()),
            // Twenty thousand keys are asked for in half a minute.
            ("SDK_API_RATE_LIMIT_PER_MINUTE", "1000000".to_owned()),
            ("TOKEN_AUTHENTICATION_RATE_LIMIT_PER_MINUTE", "1000000".to_owned()),
            ("UNLEASH_DEFAULT_ADMIN_USERNAME", ADMIN.0.to_owned()),
            ("UNLEASH_DEFAULT_ADMIN_PASSWORD", ADMIN.1.to_owned()),
            ("INIT_BACKEND_API_TOKENS", BACKEND.to_owned()),
            ("INIT_FRONTEND_API_TOKENS", FRONTEND.to_owned()),
        ]);
        let child = command.spawn().map_err(|error| format!("node: {error}"))?;
        let http = banyan_net::client().build().expect("a client");
        let (url, session) = (format!("http://127.0.0.1:{port}/api"), String::new());
        let mut unleash = Self { url, child, http, session };
        let health = format!("http://127.0.0.1:{port}/health");
        until(OPEN, "Unleash to answer", async || {
            unleash.http.get(&health).send().await.ok()?.status().is_success().then_some(())
        })
        .await;
        unleash.session = unleash.log_in().await;
        Ok(unleash)
    }

    /// What a shop must be told to read its flags here.
    #[must_use]
    pub fn env(&self) -> Vec<(String, String)> {
        let of = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let all = [
            ("BANYAN_UNLEASH_URL", self.url.as_str()),
            ("BANYAN_UNLEASH_TOKEN", BACKEND),
            ("BANYAN_UNLEASH_EVERY_S", "1"),
        ];
        all.map(of).to_vec()
    }

    /// Takes a flag in, as Unleash exports one; one that is there becomes it.
    ///
    /// # Panics
    /// When it is refused.
    pub async fn import(&self, export: &Value) {
        let body = json!({"project": "default", "environment": "development", "data": export});
        let url = format!("{}/admin/features-batch/import", self.url);
        // After many questions it does not know a session for a moment, and then knows it again.
        until(OPEN, "the flag to be taken in", async || {
            let asked = self.http.request(Method::POST, &url).header("cookie", &self.session).json(&body);
            let answer = asked.send().await.expect("an answer");
            let (status, said) = (answer.status(), answer.text().await.unwrap_or_default());
            assert!(status.is_success() || status == StatusCode::UNAUTHORIZED, "{status}: {said}");
            status.is_success().then_some(())
        })
        .await;
    }

    async fn log_in(&self) -> String {
        let url = format!("{}/auth/simple/login", self.url.trim_end_matches("/api"));
        let who = json!({"username": ADMIN.0, "password": ADMIN.1});
        let answer = self.http.post(url).json(&who).send().await.expect("an answer");
        let cookie = answer.headers().get("set-cookie").and_then(|cookie| cookie.to_str().ok());
        let cookie = cookie.unwrap_or_else(|| panic!("no session: {}", answer.status()));
        cookie.split(';').next().unwrap_or_default().to_owned()
    }

    /// What the server itself finds for a key: each flag that is on, with its variant.
    ///
    /// # Panics
    /// When it does not say.
    pub async fn evaluated(&self, key: &str) -> Vec<(String, String)> {
        let asked = self.http.get(format!("{}/frontend", self.url)).query(&[("userId", key)]);
        let answer = asked.header("authorization", FRONTEND).send().await.expect("an answer");
        let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
        let said: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{key}: {status}: {text}"));
        let of = |toggle: &Value| {
            let variant = &toggle["variant"];
            let name = variant["name"].as_str().filter(|_| variant["enabled"] == true).unwrap_or_default();
            (toggle["name"].as_str().unwrap_or_default().to_owned(), name.to_owned())
        };
        said["toggles"].as_array().into_iter().flatten().map(of).collect()
    }
}

impl Drop for Unleash {
    /// It keeps nothing that anybody misses.
    fn drop(&mut self) {
        if let Some(process) = i32::try_from(self.child.id()).ok().and_then(Process::now) {
            process.signal(Signal::SIGKILL);
        }
        let _ = self.child.wait();
    }
}
