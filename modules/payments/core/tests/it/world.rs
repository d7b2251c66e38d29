//! A module on a database of its own, with a gateway of its own and a clock that stands.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;
use banyan_kernel::{Answer, Clock, Json, ManualClock, OrderId, SLOTS};
use banyan_net::outbound::Reconciler;
use banyan_postgres::testing::{TestDatabase, database};
use banyan_sandbox::{Config, serve};
use banyan_store::{Store, prepare, role_of};
use payments_api::{PaymentFacts as _, testing::UnderTest};
use payments_core::{GatewayConfig, Payments, schema};
use tempfile::TempDir;
use tokio::sync::oneshot;

pub const SECRET: &str = "sk_test";
const CONTROL: &str = "control";

/// What a module says of itself.
pub fn told<T: std::fmt::Debug>(answer: Answer<T>) -> T {
    match answer {
        Answer::Done(told) => told,
        other => panic!("{other:?}"),
    }
}

/// The outside world; ends when it is dropped.
pub struct Sandbox {
    address: SocketAddr,
    client: reqwest::Client,
    _stop: oneshot::Sender<()>,
    _folder: TempDir,
}

impl Sandbox {
    async fn start(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config::new(folder.path(), SECRET, CONTROL);
        change(&mut config);
        let (stop, stopped) = oneshot::channel::<()>();
        let (tell, told) = oneshot::channel();
        let ready = move |address| tell.send(address).expect("the test waits");
        let clock = Arc::new(banyan_sandbox::SystemClock::new());
        tokio::spawn(serve(config, clock, ready, async { drop(stopped.await) }));
        let address = told.await.expect("the sandbox listens");
        Self {
            address,
            client: banyan_net::client().build().expect("a client"),
            _stop: stop,
            _folder: folder,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The book's lines of one order.
    pub async fn lines(&self, order: OrderId) -> Vec<Json> {
        let url = format!("{}/sandbox/book/orders/{order}", self.url());
        let answer = self.client.get(url).bearer_auth(CONTROL).send().await.expect("the book");
        let body: Json = answer.json().await.expect("JSON");
        body["entries"].as_array().expect("lines").clone()
    }

    /// Takes the gateway down until [`Self::mend`].
    pub async fn down(&self) {
        let body =
            serde_json::json!({ "target": "gateway", "fault": "down", "percent": 100, "seconds": 600 });
        let url = format!("{}/sandbox/break", self.url());
        let answer = self.client.post(url).bearer_auth(CONTROL).json(&body).send().await.expect("a break");
        assert!(answer.status().is_success(), "{answer:?}");
    }

    pub async fn mend(&self) {
        let url = format!("{}/sandbox/break", self.url());
        self.client.delete(url).bearer_auth(CONTROL).send().await.expect("mended");
    }

    /// Gives back behind the shop's back; tells the gateway's id of it.
    pub async fn give_back(&self, reference: &str, amount_minor: i64) -> String {
        let fields = format!("payment_intent={reference}&amount={amount_minor}");
        let key = format!("by-hand/{reference}/{amount_minor}");
        // Its faults hit this call as any other, once: the repeat is answered.
        for _ in 0..3 {
            let request = self.client.post(format!("{}/v1/refunds", self.url())).bearer_auth(SECRET);
            let request = request.header("Content-Type", "application/x-www-form-urlencoded");
            let sent = request.header("Idempotency-Key", &key).body(fields.clone()).send().await;
            if let Ok(answer) = sent {
                let refund: Json = answer.json().await.expect("JSON");
                return refund["id"].as_str().expect("an id").to_owned();
            }
        }
        panic!("no answer to a refund by hand")
    }

    /// Authorises behind the shop's back.
    pub async fn charge(&self, order: OrderId) {
        let fields = format!(
            "amount=1299&currency=usd&payment_method=pm_card_visa&capture_method=manual&confirm=true\
             &metadata[order]={order}&metadata[attempt]=1"
        );
        let request = self.client.post(format!("{}/v1/payment_intents", self.url())).bearer_auth(SECRET);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded").body(fields);
        assert!(request.send().await.expect("an answer").status().is_success());
    }
}

/// Everything a test needs.
pub struct World {
    pub database: TestDatabase,
    pub clock: Arc<ManualClock>,
    pub store: Store,
    pub sandbox: Sandbox,
    pub payments: Arc<Payments>,
    pub reconciler: Reconciler,
}

impl World {
    /// An empty one in which nothing goes wrong.
    pub async fn new() -> Self {
        Self::with(|_| (), |_| ()).await
    }

    /// In which this goes wrong.
    pub async fn of_profile(profile: &str) -> Self {
        let sandbox = |config: &mut Config| config.profile = profile.parse().expect("a profile");
        Self::with(sandbox, |callee| callee.time_out = Duration::from_millis(100)).await
    }

    pub async fn with(sandbox: impl FnOnce(&mut Config), callee: impl FnOnce(&mut GatewayConfig)) -> Self {
        let database = database().await;
        prepare(&database.superuser(), "", &[schema()]).await.expect("a schema");
        let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
        let sandbox = Sandbox::start(sandbox).await;
        let mut config = GatewayConfig::new(sandbox.url(), SECRET);
        // Nothing depends on how fast this machine is, unless a test says so.
        (config.time_out, config.soft_wait) = (Duration::from_secs(10), Duration::from_secs(10));
        callee(&mut config);
        let store = store(&database, 8, clock.clone());
        let payments = Payments::new(store.clone(), config);
        let reconciler = payments.intents();
        Self { database, clock, store, sandbox, payments, reconciler }
    }

    /// Lets so much time pass.
    pub fn pass(&self, time: Duration) {
        self.clock.advance_micros(i64::try_from(time.as_micros()).expect("a test's time"));
    }

    pub async fn turn(&self) -> usize {
        self.reconciler.turn(&(0..SLOTS).collect::<Vec<_>>()).await.expect("a turn")
    }

    pub async fn turn_refunds(&self) -> usize {
        let all: Vec<u16> = (0..SLOTS).collect();
        self.payments.refund_intents().turn(&all).await.expect("a turn")
    }

    /// A column of an order's row, as text.
    pub async fn column(&self, order: OrderId, column: &str) -> Option<String> {
        let statement = format!("select {column}::text from payment where order_id = $1");
        let statement = sqlx::query_scalar(sqlx::AssertSqlSafe(statement));
        let found: Option<Option<String>> =
            statement.bind(order.0).fetch_optional(self.store.pool()).await.expect(column);
        found.flatten()
    }

    /// Waits for an order's row to stand there.
    pub async fn until(&self, order: OrderId, state: &str) {
        let stands = async {
            while self.column(order, "state").await.as_deref() != Some(state) {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), stands).await.expect(state);
    }

    /// What was told of an order, as `kind sequence`.
    pub async fn told_of(&self, order: OrderId) -> Vec<String> {
        let told =
            "select type || ' ' || sequence from outbox where aggregateid = $1 order by epoch, xid, seq";
        let told = sqlx::query_scalar(told).bind(order.to_string());
        told.fetch_all(self.store.pool()).await.expect("the outbox")
    }

    /// The books agree with the rows.
    pub async fn balances(&self) {
        assert_eq!(told(self.payments.violations().await), []);
    }
}

pub fn store(database: &TestDatabase, connections: u32, clock: Arc<dyn Clock>) -> Store {
    Store::new(database.options(&role_of("payments")), "payments", connections, clock)
}

#[async_trait]
impl UnderTest for World {
    fn port(&self) -> &dyn payments_api::Payments {
        &*self.payments
    }

    fn refunds(&self) -> &dyn payments_api::Refunds {
        &*self.payments
    }

    /// Whatever is under way is due.
    async fn settle(&self) {
        self.pass(Duration::from_secs(7));
        if self.turn().await + self.turn_refunds().await == 0 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    async fn book(&self, order: OrderId) -> Vec<String> {
        let lines = self.sandbox.lines(order).await;
        lines.iter().map(|line| line["kind"].as_str().expect("a kind").to_owned()).collect()
    }
}
