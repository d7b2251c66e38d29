//! One real shop for all tests of this binary: a process of its own on a throw-away database.
//!
//! It is on a leash: a shell waits for the end of its standard input, whose other end this process holds.
//! However the tests end, the shell then stops the shop and its sandbox and removes their folder.

use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio},
    time::Duration,
};

use banyan_host::testing::Receiver;
use banyan_kernel::{Actor, Clock, Role, SystemClock};
use banyan_net::Keys;
use banyan_postgres::testing::{TestDatabase, database};
use reqwest::{Method, RequestBuilder, header::HeaderMap};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use uuid::Uuid;

pub(crate) const BANYAN: &str = env!("CARGO_BIN_EXE_banyan");
/// Two customers.
pub(crate) const ALICE: Uuid = Uuid::from_u128(0xa11ce);
pub(crate) const BOB: Uuid = Uuid::from_u128(0xb0b);
const HOUR: Duration = Duration::from_secs(3_600);

/// $1: the shop's process, $2: its folder.
const LEASH: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
kill -TERM "$1" 2>/dev/null
for round in $(seq 200); do kill -0 "$1" 2>/dev/null || break; sleep 0.1; done
kill -KILL "$1" 2>/dev/null
sandbox=$(sed -n 's/.*"pid": *\([0-9]*\).*/\1/p' "$2/sandbox.json" 2>/dev/null)
[ -n "$sandbox" ] && grep -q sandbox "/proc/$sandbox/cmdline" 2>/dev/null && kill -KILL "$sandbox"
rm -rf "$2"
"#;

pub(crate) struct Shop {
    pub(crate) api: String,
    pub(crate) admin: String,
    pub(crate) data: PathBuf,
    pub(crate) database: TestDatabase,
    /// Gets what the shop tells of what it does.
    pub(crate) traces: Receiver,
    keys: Keys,
    _child: (Child, BufReader<ChildStdout>),
    _leash: ChildStdin,
}

static SHOP: OnceCell<Shop> = OnceCell::const_new();

/// The shop, open, with apples and pears on its shelves.
pub(crate) async fn shop() -> &'static Shop {
    SHOP.get_or_init(|| Shop::open(&[])).await
}

static SAMPLE_SHOP: OnceCell<Shop> = OnceCell::const_new();

/// A shop of its own with what of the sample the API's document speaks of: products, and the two orders of a household.
pub(crate) async fn sample_shop() -> &'static Shop {
    let open = async || {
        let shop = Shop::open_empty(&[]).await;
        let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/sample/sample.jsonl");
        let sample = fs::read_to_string(sample).expect("the sample");
        let baskets = sample.lines().filter(|line| line.contains(r#""customer":"H2070""#)).take(2);
        let document = crate::openapi::agreed();
        let wanted: Vec<&str> =
            document.split('"').chain(baskets.clone().flat_map(|basket| basket.split('"'))).collect();
        let spoken_of = |line: &&str| {
            let sku = line.strip_prefix(r#"{"product":{"sku":""#).and_then(|line| line.split('"').next());
            sku.is_some_and(|sku| wanted.contains(&sku))
        };
        let products = sample.lines().filter(spoken_of);
        let header = r#"{"banyan-replay":1,"id":"sample","currency":"USD"}"#;
        let lines: Vec<&str> = [header].into_iter().chain(products).chain(baskets).collect();
        let file = shop.data.join("sample.jsonl");
        fs::write(&file, lines.join("\n")).expect("a file");
        let played =
            shop.banyan(&["replay", "--strict", "--allow-empty-cells", file.to_str().expect("a path")]);
        assert!(played.status.success(), "{played:?}");
        shop
    };
    SAMPLE_SHOP.get_or_init(open).await
}

impl Shop {
    /// A shop of its own, whose settings are these variables and the tests' usual arguments.
    pub(crate) async fn open(variables: &[(&str, &str)]) -> Self {
        let shop = Self::open_empty(variables).await;
        shop.fill().await;
        shop
    }

    /// One that sells nothing yet.
    async fn open_empty(variables: &[(&str, &str)]) -> Self {
        let database = database().await;
        let data = tempfile::Builder::new().prefix("banyan-http-").tempdir().expect("a folder").keep();
        fs::set_permissions(&data, fs::Permissions::from_mode(0o711)).expect("the folder is ours");
        let traces = Receiver::start();
        let mut child = Command::new(BANYAN)
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--admin-listen",
                "127.0.0.1:0",
                "--pool",
                "3",
                "--sandbox-deliver-after-s",
                "1",
                "--log",
                "debug",
            ])
            .arg("--data")
            .arg(&data)
            .env("DATABASE_URL", url(&database))
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &traces.endpoint)
            .env("OTEL_BSP_SCHEDULE_DELAY", "50")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(data.join("shop.log")).expect("a log"))
            .process_group(0)
            .spawn()
            .expect("the binary was built beside this test");
        let leash = leash(child.id(), &data);
        let mut output = BufReader::new(child.stdout.take().expect("asked for as a pipe"));
        let mut line = String::new();
        output.read_line(&mut line).expect("a line");
        let log = || fs::read_to_string(data.join("shop.log")).unwrap_or_default();
        let mut addresses = line.split([' ', ')', '\n']).filter(|word| word.starts_with("http://"));
        let mut address = || addresses.next().unwrap_or_else(|| panic!("no shop: {}", log())).to_owned();
        let (api, admin) = (address(), address());
        let keys = Keys::open(&data.join("token-key.pem")).expect("the shop made its key");
        Self { api, admin, data, database, traces, keys, _child: (child, output), _leash: leash }
    }

    async fn fill(&self) {
        let product = |sku: &str| json!({"sku": sku, "name": sku, "category": "fruit", "price_minor": 120, "currency": "EUR"});
        let products = json!({"products": [product("apple"), product("pear")]});
        Call::post("/v1/products").staff().key("fill").json(&products).send(self).await.is(200);
        let lines =
            json!({"lines": [{"sku": "apple", "quantity": 1_000}, {"sku": "pear", "quantity": 1_000}]});
        Call::post("/v1/stock/receipts").staff().key("fill").json(&lines).send(self).await.is(201);
    }

    /// A token of the shop's own key, valid for an hour.
    pub(crate) fn token(&self, role: Role, id: &str) -> String {
        mint(&self.keys, role, id, HOUR)
    }

    pub(crate) fn customer(&self, id: Uuid) -> String {
        self.token(Role::Customer, &id.to_string())
    }

    pub(crate) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Runs the command line on this shop's folder.
    pub(crate) fn banyan(&self, arguments: &[&str]) -> Output {
        banyan(&self.data, arguments)
    }
}

pub(crate) fn banyan(data: &Path, arguments: &[&str]) -> Output {
    Command::new(BANYAN).args(arguments).arg("--data").arg(data).output().expect("the binary runs")
}

pub(crate) fn mint(keys: &Keys, role: Role, id: &str, valid: Duration) -> String {
    keys.mint(&Actor { role, id: id.to_owned() }, SystemClock.now(), valid).expect("a token")
}

fn url(database: &TestDatabase) -> String {
    let (cluster, port) = (database.cluster(), database.superuser().get_port());
    let socket = cluster.socket_dir();
    let (user, name, socket) = (cluster.superuser(), &database.name, socket.display());
    format!("postgres://{user}@localhost/{name}?host={socket}&port={port}")
}

fn leash(pid: u32, folder: &Path) -> ChildStdin {
    let mut command = Command::new("sh");
    command.args(["-c", LEASH, "leash", &pid.to_string()]).arg(folder).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("a shell").stdin.take().expect("asked for as a pipe")
}

/// Looks until there is something, for as long as nobody would wait.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFn() -> Option<T>) -> T {
    let looking = async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(120), looking)
        .await
        .unwrap_or_else(|_| panic!("waited for {what}"))
}

/// The books agree about this order. (About others they may not yet: what is done by hand at the gateway is noticed a moment later.)
pub(crate) async fn audit_names_nothing_of(order: &str) {
    let audit = Call::post("/admin/audit").on_admin().staff().check(200, "").await.json();
    let checks = audit["checks"].as_array().expect("checks").iter();
    let mut named = checks.flat_map(|check| check["named"].as_array()).flatten();
    assert!(!named.any(|violation| violation.to_string().contains(order)), "{audit}");
}

/// A request as a client makes it.
#[derive(Clone)]
pub(crate) struct Call {
    method: Method,
    path: String,
    who: Who,
    headers: Vec<(String, Vec<u8>)>,
    body: Option<Vec<u8>>,
    on_admin: bool,
}

#[derive(Clone)]
enum Who {
    Nobody,
    Staff,
    Customer(Uuid),
    Authorization(String),
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
    call: String,
    public: bool,
}

impl Call {
    pub(crate) fn new(method: Method, path: &str) -> Self {
        let (headers, path) = (Vec::new(), path.to_owned());
        Self { method, path, who: Who::Nobody, headers, body: None, on_admin: false }
    }

    pub(crate) fn get(path: &str) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post(path: &str) -> Self {
        Self::new(Method::POST, path)
    }

    pub(crate) fn staff(self) -> Self {
        Self { who: Who::Staff, ..self }
    }

    pub(crate) fn customer(self, id: Uuid) -> Self {
        Self { who: Who::Customer(id), ..self }
    }

    /// With this `Authorization` header.
    pub(crate) fn authorization(self, value: &str) -> Self {
        Self { who: Who::Authorization(value.to_owned()), ..self }
    }

    pub(crate) fn on_admin(self) -> Self {
        Self { on_admin: true, ..self }
    }

    pub(crate) fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Self {
        self.headers.push((name.to_owned(), value.as_ref().to_vec()));
        self
    }

    pub(crate) fn key(self, key: &str) -> Self {
        self.header("idempotency-key", key)
    }

    pub(crate) fn json(self, body: &Value) -> Self {
        self.raw(&body.to_string())
    }

    /// A body that says it is JSON.
    pub(crate) fn raw(self, body: &str) -> Self {
        Self { body: Some(body.as_bytes().to_vec()), ..self.header("content-type", "application/json") }
    }

    pub(crate) fn body(self, body: &str) -> Self {
        Self { body: Some(body.as_bytes().to_vec()), ..self }
    }

    /// As a request to be sent by the caller.
    pub(crate) fn request(&self, shop: &Shop) -> RequestBuilder {
        let base = if self.on_admin { &shop.admin } else { &shop.api };
        // A client of its own: connections belong to the test's runtime.
        let mut request = banyan_net::client()
            .build()
            .expect("a client")
            .request(self.method.clone(), format!("{base}{}", self.path));
        request = match &self.who {
            Who::Nobody => request,
            Who::Staff => request.bearer_auth(shop.token(Role::Staff, "tester")),
            Who::Customer(id) => request.bearer_auth(shop.customer(*id)),
            Who::Authorization(value) => request.header("authorization", value),
        };
        for (name, value) in &self.headers {
            request = request.header(name, &value[..]);
        }
        match &self.body {
            Some(body) => request.body(body.clone()),
            None => request,
        }
    }

    /// Sends it; whatever comes back must be in the API's own document.
    pub(crate) async fn send(&self, shop: &Shop) -> Answer {
        let answer = self.request(shop).send().await.unwrap_or_else(|error| panic!("{self}: {error}"));
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let text = answer.text().await.unwrap_or_else(|error| panic!("{self}: {error}"));
        if !self.on_admin {
            crate::openapi::must_say(&self.method, &self.path, status, &headers);
        }
        Answer { status, headers, text, call: self.to_string(), public: !self.on_admin }
    }

    /// Sends it and checks status and, for a refusal, the problem's type.
    pub(crate) async fn check(&self, status: u16, problem: &str) -> Answer {
        let answer = self.send(shop().await).await;
        if problem.is_empty() { answer.is(status) } else { answer.has_problem(status, problem) }
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = self.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        let body: String = body.chars().take(120).collect();
        write!(f, "{} {} {body}", self.method, self.path)
    }
}

impl Answer {
    pub(crate) fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}: {}", self.call, self.text);
        self
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("{}: {:?}", self.call, self.text))
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// A whole RFC 9457 problem of this type.
    pub(crate) fn has_problem(self, status: u16, code: &str) -> Self {
        let (call, text) = (&self.call, &self.text);
        assert_eq!(self.status, status, "{call}: {text}");
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{call}: {text}");
        assert_eq!(self.header("x-content-type-options").is_some(), self.public, "{call}");
        let problem = self.json();
        assert_eq!(problem["type"], format!("/problems/{code}"), "{call}: {text}");
        assert_eq!(problem["status"], status, "{call}: {text}");
        for member in ["title", "detail"] {
            let text = problem[member].as_str().unwrap_or_default();
            assert!(!text.is_empty() && !text.contains('\n'), "{call}: {member} is {text:?}");
        }
        self
    }
}
