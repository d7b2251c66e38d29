//! A shop as its customers, its staff and its operators reach it. A copy goes with each task.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use banyan_store::sqlx::{
    self, AssertSqlSafe, PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use reqwest::Method;
use serde_json::Value;

use super::{book::Outside, marked, run};

/// No answer of a shop takes longer, a large audit apart.
const ANSWER: Duration = Duration::from_secs(60);

/// What a shop answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Whether it is the first answer again.
    pub replayed: bool,
    /// The `Consistency-Token` of a write.
    pub consistency: Option<String>,
    /// The body; null where it is no JSON.
    pub json: Value,
}

impl Answer {
    async fn read(answer: reqwest::Response) -> Result<Self, reqwest::Error> {
        let header = |name: &str| answer.headers().get(name)?.to_str().ok().map(str::to_owned);
        let (status, replayed) = (answer.status().as_u16(), header("Idempotent-Replayed").is_some());
        let consistency = header("Consistency-Token");
        let json = serde_json::from_slice(&answer.bytes().await?).unwrap_or(Value::Null);
        Ok(Self { status, replayed, consistency, json })
    }
}

/// Reaches one shop, whether it runs or not.
#[derive(Clone)]
pub struct ShopClient {
    /// `http://HOST:PORT` of the public API.
    pub api: String,
    /// `http://HOST:PORT` of the admin API.
    pub admin: String,
    /// The data folder.
    pub data: PathBuf,
    program: PathBuf,
    stage: PathBuf,
    http: reqwest::Client,
    tokens: Arc<Mutex<HashMap<String, String>>>,
}

impl ShopClient {
    pub(super) fn new(
        program: &Path,
        stage: &Path,
        data: PathBuf,
        (api_port, admin_port): (u16, u16),
    ) -> Self {
        let http = banyan_net::client().timeout(ANSWER).build().expect("a client");
        let address = |port| format!("http://127.0.0.1:{port}");
        let (program, stage) = (program.to_owned(), stage.to_owned());
        let (api, admin) = (address(api_port), address(admin_port));
        Self { api, admin, data, program, stage, http, tokens: Arc::default() }
    }

    /// A command of `banyan` on this shop's data folder, not yet run.
    #[must_use]
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = marked(&self.program, &self.stage, args);
        command.arg("--data").arg(&self.data);
        command
    }

    /// Runs a command of `banyan` on this shop's data folder to its end.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn banyan(&self, args: &[&str]) -> Output {
        run(self.command(args)).await
    }

    /// Plays a file with `banyan replay` to its end.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn replay(&self, file: &Path, args: &[&str]) -> Output {
        let mut command = self.command(&["replay"]);
        command.arg(file).args(args);
        run(command).await
    }

    /// What `banyan audit --json` found.
    ///
    /// # Panics
    /// When it found nothing that can be read.
    pub async fn audit(&self) -> Value {
        let output = self.banyan(&["audit", "--json"]).await;
        serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no audit: {output:?}"))
    }

    /// A token of role staff.
    pub async fn staff_token(&self) -> String {
        self.token("staff", &["--role", "staff"]).await
    }

    /// A token of the customer of that name.
    pub async fn customer_token(&self, name: &str) -> String {
        self.token(&format!("customer {name}"), &["--role", "customer", "--customer", name]).await
    }

    async fn token(&self, whose: &str, args: &[&str]) -> String {
        let known = || self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = known().get(whose) {
            return token.clone();
        }
        let output = self.banyan(&[&["token", "--valid-s", "86400"], args].concat()).await;
        assert!(output.status.success(), "no token: {output:?}");
        let token = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        known().insert(whose.to_owned(), token.clone());
        token
    }

    /// Asks; an error when there is no answer.
    ///
    /// # Errors
    /// When the shop is away, or went away before it answered.
    pub async fn ask(
        &self,
        method: Method,
        url: &str,
        token: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Answer, reqwest::Error> {
        let mut request = self.http.request(method, url).bearer_auth(token);
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Answer::read(request.send().await?).await
    }

    /// `GET` of the public API, which must show at least what a write's token says.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn get_at_least(&self, path: &str, token: &str, at_least: Option<&str>) -> Answer {
        let request = self.http.get(format!("{}{path}", self.api)).bearer_auth(token);
        let request = match at_least {
            Some(at_least) => request.header("Consistency-Token", at_least),
            None => request,
        };
        let answer = async { Answer::read(request.send().await?).await };
        answer.await.unwrap_or_else(|error| panic!("{path} does not answer: {error:?}"))
    }

    /// `GET` of the public API.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        let url = format!("{}{path}", self.api);
        self.must(Method::GET, &url, token, None, None).await
    }

    /// `POST` to the public API.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn post(&self, path: &str, token: &str, key: &str, body: &Value) -> (u16, Value) {
        let url = format!("{}{path}", self.api);
        self.must(Method::POST, &url, token, Some(key), Some(body)).await
    }

    /// A call of the admin API, as staff.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn operate(&self, method: Method, path: &str, body: Option<&Value>) -> (u16, Value) {
        let token = self.staff_token().await;
        self.must(method, &format!("{}{path}", self.admin), &token, None, body).await
    }

    async fn must(
        &self,
        method: Method,
        url: &str,
        token: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> (u16, Value) {
        let answer = self.ask(method, url, token, key, body).await;
        let answer = answer.unwrap_or_else(|error| panic!("{url} does not answer: {error:?}"));
        (answer.status, answer.json)
    }

    /// The process of the shop's private sandbox; 0, while there is none.
    #[must_use]
    pub fn sandbox_pid(&self) -> i32 {
        let text = std::fs::read_to_string(self.data.join("sandbox.json")).unwrap_or_default();
        let state: Value = serde_json::from_str(&text).unwrap_or_default();
        state["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default()
    }

    /// The shop's private PostgreSQL server.
    ///
    /// # Panics
    /// When none runs.
    #[must_use]
    pub fn postgres_pid(&self) -> i32 {
        let text = std::fs::read_to_string(self.data.join("postgres/postmaster.pid")).expect("a server");
        text.lines().next().and_then(|pid| pid.parse().ok()).expect("its process")
    }

    /// How the superuser connects to the shop's private PostgreSQL, which outlives a killed shop.
    ///
    /// # Panics
    /// When none runs.
    #[must_use]
    pub fn superuser(&self) -> PgConnectOptions {
        let (socket_dir, port) = self.socket();
        PgConnectOptions::new().socket(socket_dir).port(port).username("postgres").database("banyan")
    }

    /// A few connections of the superuser's.
    #[must_use]
    pub fn superuser_pool(&self) -> PgPool {
        PgPoolOptions::new().max_connections(2).connect_lazy_with(self.superuser())
    }

    /// The same of another database on that server: a module's own.
    ///
    /// # Panics
    /// When none runs.
    #[must_use]
    pub fn superuser_pool_of(&self, database: &str) -> PgPool {
        PgPoolOptions::new().max_connections(2).connect_lazy_with(self.superuser().database(database))
    }

    /// `DATABASE_URL` of the shop's private PostgreSQL, for another shop.
    ///
    /// # Panics
    /// When none runs.
    #[must_use]
    pub fn database_url(&self) -> String {
        self.database_url_of("banyan")
    }

    /// The same of another database on that server.
    ///
    /// # Panics
    /// When none runs.
    #[must_use]
    pub fn database_url_of(&self, database: &str) -> String {
        let (socket_dir, port) = self.socket();
        format!("postgres://postgres@localhost:{port}/{database}?host={}", socket_dir.display())
    }

    /// Makes an empty database on the shop's private PostgreSQL, for a module that is elsewhere.
    ///
    /// # Panics
    /// When it cannot be made.
    pub async fn create_database(&self, module: &'static str) {
        let create = AssertSqlSafe(format!("create database {module}"));
        sqlx::query(create).execute(&self.superuser_pool()).await.expect("a database of its own");
    }

    /// The outside world of this shop: its private sandbox.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn outside(&self) -> Outside {
        Outside::of(&self.data, self.http.clone())
    }

    /// Lines 5 and 4 of `postmaster.pid`.
    fn socket(&self) -> (PathBuf, u16) {
        let path = self.data.join("postgres/postmaster.pid");
        let text = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("no PostgreSQL in {path:?}"));
        let line = |n: usize| text.lines().nth(n).unwrap_or_default().trim().to_owned();
        let dir = line(4);
        (
            if dir.is_empty() { self.data.join("postgres") } else { dir.into() },
            line(3).parse().expect("a port"),
        )
    }

    /// Each series of the shop's metrics as it stands: its name with its labels, and its value.
    ///
    /// # Panics
    /// When the shop does not answer.
    pub async fn metrics(&self) -> Vec<(String, f64)> {
        let answer = self.http.get(format!("{}/metrics", self.admin)).send().await.expect("an answer");
        let text = answer.text().await.expect("a text");
        let read = |line: &str| {
            let (series, value) = line.rsplit_once(' ')?;
            Some((series.to_owned(), value.parse().ok()?))
        };
        text.lines().filter(|line| !line.starts_with('#')).filter_map(read).collect()
    }
}
