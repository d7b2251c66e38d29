//! A process that freezes between two statements of a writing transaction.

use std::{
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use banyan_kernel::{Actor, OrderId, Role};
use banyan_lab::stage::{
    MARK, ShopClient, ShopOptions, Stage, Wish,
    process::{Process, family},
    until,
};
use banyan_store::sqlx::{self, PgPool};
use nix::sys::signal::Signal;
use serde_json::json;
use uuid::Uuid;

/// What is promised of a machine that is not busy with other tests; printed, not asserted.
const GOES_ON_GOAL: Duration = Duration::from_secs(2);
const SETTLE: Duration = Duration::from_secs(60);
const KEY: &str = "while-frozen";

const RESERVED: &str = "select count(*) from inventory.reservation where order_id = $1";
const MOVED_ON: &str = "select pg_snapshot_xmin(pg_current_snapshot()) > $1::text::xid8";

/// All of it, as a machine stands still: connections stay open and nobody answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_stands_still_is_told_of_and_waited_for() {
    let stage = Stage::new();
    let shop = stage.shop("shop", ShopOptions::default()).await;
    shop.stock(&["APPLE"], 10).await;
    let customer = Uuid::from_u128(7).to_string();
    let token = shop.customer_token(&customer).await;
    let body = json!({"lines": [{"sku": "APPLE", "quantity": 1}], "payment_method": "pm_card_visa"});

    let server = family(shop.postgres_pid());
    server.iter().for_each(|process| process.signal(Signal::SIGSTOP));
    let (status, problem) = shop.post("/v1/orders", &token, KEY, &body).await;
    assert_eq!(status, 503, "{problem}");
    assert_eq!(shop.get("/health/ready", &token).await.0, 503);
    assert_eq!(shop.get("/health/live", &token).await.0, 200);

    // Those that it started before it stood still; it may have started one since.
    server.iter().rev().for_each(|process| process.signal(Signal::SIGCONT));
    let placed = until(SETTLE, "the order to be taken", async || {
        let (status, order) = shop.post("/v1/orders", &token, KEY, &body).await;
        (status == 201).then_some(order)
    });
    let order = placed.await["id"].as_str().expect("an id").to_owned();
    let ended = shop.settled(std::slice::from_ref(&order), SETTLE).await.unwrap();
    assert_eq!(ended[&order]["state"], "shipped");
    shop.clean_audit(SETTLE).await;
}

/// A database and an outside that stand still do not hear that they are to stop; the shop tells of them and ends them in its time.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_a_frozen_database_and_a_frozen_outside_in_its_time() {
    const DRAIN_S: &str = "6";
    /// Of a busy machine.
    const STOP: Duration = Duration::from_secs(3 * 6);
    let stage = Stage::new();
    let mut shop = stage.shop("shop", ShopOptions::args(&["--drain-s", DRAIN_S])).await;
    shop.stock(&["APPLE"], 10).await;
    let order = shop.place(&Wish::of("ada", "one", &["APPLE"])).await;
    shop.settled(std::slice::from_ref(&order), SETTLE).await.unwrap();
    let outside = std::fs::read(shop.data.join("sandbox.json")).expect("what is known of the sandbox");
    let outside: serde_json::Value = serde_json::from_slice(&outside).expect("JSON");
    let outside =
        outside["pid"].as_i64().and_then(|pid| Process::now(pid.try_into().ok()?)).expect("its process");
    let database = family(shop.postgres_pid());
    database.iter().chain([&outside]).for_each(|process| process.signal(Signal::SIGSTOP));
    let begun = Instant::now();
    let status = shop.stop().await;
    println!("stopped after {:?} of {DRAIN_S} s", begun.elapsed());
    assert!(begun.elapsed() < STOP, "{:?}", begun.elapsed());
    assert_eq!(status.code(), Some(1), "not everything ended as it was asked");
    let said = std::fs::read_to_string(shop.data.with_extension("err")).expect("its log");
    assert!(said.contains("PostgreSQL does not stop, and is killed"), "{said}");
    assert!(said.contains("the sandbox does not stop, and is killed"), "{said}");
    assert_eq!(stage.processes(), [0; 0], "nobody stays behind");
    shop.restart().await;
    let (status, view) = shop.get(&format!("/v1/orders/{order}"), &shop.customer_token("ada").await).await;
    assert_eq!((status, view["state"].as_str()), (200, Some("shipped")), "{view}");
    shop.clean_audit(SETTLE).await;
    assert!(shop.stop().await.success());
}

/// The process `halfway`, inside its transaction.
struct Halfway {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    xid: String,
}

impl Halfway {
    fn start(stage: &Stage, shop: &ShopClient, order: OrderId, sku: &str) -> Self {
        let superuser = shop.superuser();
        let mut command = Command::new(env!("CARGO_BIN_EXE_halfway"));
        command.arg(superuser.get_socket().expect("a socket")).arg(superuser.get_port().to_string());
        command.args(["inventory", &order.to_string(), sku]).env(MARK, stage.folder());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("halfway");
        let input = child.stdin.take().expect("a pipe");
        let mut output = BufReader::new(child.stdout.take().expect("a pipe"));
        let xid = line(&mut output).strip_prefix("inside ").expect("a transaction").to_owned();
        Self { child, input, output, xid }
    }

    async fn freeze(&self) {
        let process = Process::now(self.child.id().cast_signed()).expect("a process");
        process.signal(Signal::SIGSTOP);
        until(SETTLE, "it to stand still", async || process.is_frozen().then_some(())).await;
    }

    /// Lets it go on, and hears how it went.
    fn thaw(mut self) -> String {
        Process::now(self.child.id().cast_signed()).expect("a process").signal(Signal::SIGCONT);
        writeln!(self.input, "go on").expect("it listens");
        let heard = line(&mut self.output);
        self.child.wait().expect("an end");
        heard
    }
}

fn line(output: &mut impl BufRead) -> String {
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    line.trim().to_owned()
}

async fn is(pool: &PgPool, order: OrderId) -> Option<()> {
    let reserved: i64 = sqlx::query_scalar(RESERVED).bind(order.0).fetch_one(pool).await.ok()?;
    (reserved == 1).then_some(())
}

async fn has_moved_on(pool: &PgPool, xid: &str) -> Option<()> {
    let moved_on: bool = sqlx::query_scalar(MOVED_ON).bind(xid).fetch_one(pool).await.ok()?;
    moved_on.then_some(())
}

#[tokio::test(flavor = "multi_thread")]
async fn amid_a_transaction_is_ended_by_the_server_and_others_go_on() {
    let stage = Stage::new();
    let shop = stage.shop("shop", ShopOptions::default()).await;
    let pool = shop.superuser_pool();
    shop.stock(&["APPLE"], 10).await;
    let customer = Uuid::from_u128(7).to_string();
    let token = shop.customer_token(&customer).await;
    let principal = Actor { role: Role::Customer, id: customer.clone() };
    let order = OrderId::derive(&principal.to_string(), KEY);

    let frozen = Halfway::start(&stage, &shop, order, "APPLE");
    frozen.freeze().await;
    let since = Instant::now();
    assert!(has_moved_on(&pool, &frozen.xid).await.is_none(), "it holds the horizon");
    assert!(!token.is_empty());
    assert_eq!(shop.place(&Wish::of(&customer, KEY, &["APPLE"])).await, order.to_string());
    // It stands still all the while: the server alone can have ended its transaction.
    until(SETTLE, "the same order and SKU to be written", async || is(&pool, order).await).await;
    println!("written after {:?} (goal: {GOES_ON_GOAL:?})", since.elapsed());
    until(SETTLE, "the horizon to move on", async || has_moved_on(&pool, &frozen.xid).await).await;
    println!("the horizon moved on after {:?} (goal: {GOES_ON_GOAL:?})", since.elapsed());

    let ended = shop.settled(&[order.to_string()], SETTLE).await.unwrap();
    assert_eq!(ended[&order.to_string()]["state"], "shipped");
    let heard = frozen.thaw();
    assert!(heard.starts_with("failed: "), "its transaction is no more: {heard}");
    shop.clean_audit(SETTLE).await;
}
