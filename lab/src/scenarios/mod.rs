//! The rows, one file each, and what they share.

mod a1;
mod a2;
mod a3;
mod a4;
mod b5;
mod b6;
mod b7;
mod browse;
mod c1;
mod c2;
mod c3;
mod c4;
mod c5;
mod c6;
mod c7;
pub mod carried;
mod d1;
mod d2;
mod d4;
mod d5;
mod d6;
mod e1;
mod e2;
mod e3;
mod e4;
mod e6;
mod e7;
mod f1;
mod f4;
mod g2;
mod h3;
mod h4;
mod i3;
mod j1;
mod j10;
mod j2;
mod j3;
mod j4;
mod j5;
mod j6;
pub mod member;
mod own;
pub mod parts;
mod proxy;

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};

use banyan_kafka::testing::Broker;
use banyan_lab::stage::{
    Apart, Databases, Plan, ShopClient, ShopOptions, ShopProcess, Stage, Wish, program, violations, within,
};
use banyan_store::sqlx::{PgPool, postgres::PgPoolOptions};
use futures::future::LocalBoxFuture;
use serde_json::Value;

/// Every row that works so far.
pub const ROWS: &[Row] = &[
    a1::ROW,
    a2::ROW,
    a3::ROW,
    a4::ROW,
    b5::ROW,
    b6::ROW,
    b7::ROW,
    c1::ROW,
    c2::ROW,
    c3::ROW,
    c4::ROW,
    c5::ROW,
    c6::ROW,
    c7::ROW,
    d1::ROW,
    d2::ROW,
    d4::ROW,
    d5::ROW,
    d6::ROW,
    e1::ROW,
    e2::ROW,
    e3::ROW,
    e4::ROW,
    e6::ROW,
    e7::ROW,
    f1::ROW,
    f4::ROW,
    g2::ROW,
    h3::ROW,
    h4::ROW,
    i3::ROW,
    j1::ROW,
    j2::ROW,
    j3::ROW,
    j4::ROW,
    j5::ROW,
    j6::ROW,
    j10::ROW,
];

/// One row.
pub struct Row {
    /// As `mission.md` calls it.
    pub name: &'static str,
    /// What it is about.
    pub title: &'static str,
    /// What will happen.
    pub says: [&'static str; 2],
    /// Guarantees that can be taken out, each with what is then foreseen.
    pub without: &'static [(&'static str, &'static str)],
    /// Where to read how it is done.
    pub file: &'static str,
    /// Does it.
    pub play: fn(Cast) -> LocalBoxFuture<'static, Shown>,
}

/// With what a row is played.
#[derive(Clone, Copy, Debug)]
pub struct Cast {
    /// Draws whom faults hit.
    pub seed: u64,
    /// The guarantee that is taken out.
    pub without: Option<&'static str>,
}

/// What came of it.
#[derive(Debug)]
pub struct Shown {
    /// In one line, with a number.
    pub figure: String,
    /// The guarantee held; or, taken out, it was missed as foreseen.
    pub as_said: bool,
}

/// An order ends within this, whatever a row does to it.
pub const ENDED: Duration = Duration::from_secs(90);
/// What is on the shelf.
pub const SKUS: [&str; 8] =
    ["LAB-TEA", "LAB-CUP", "LAB-POT", "LAB-TIN", "LAB-JAM", "LAB-OAT", "LAB-RYE", "LAB-FIG"];
/// A token is made by a process of its own, so there are few customers.
const CUSTOMERS: usize = 4;

impl Cast {
    /// A stage for the shop itself; for lab's own composition root where a part of it is taken out.
    pub fn stage(&self) -> Stage {
        if self.without.is_some() { Stage::of(own_program()) } else { Stage::new() }
    }

    /// The arguments, and which part is taken out.
    pub fn options(&self, args: &[&str]) -> ShopOptions {
        let env = self.without.map(|part| (parts::WITHOUT.to_owned(), part.to_owned()));
        ShopOptions { env: env.into_iter().collect(), ..ShopOptions::args(args) }
    }
}

/// This program, which takes `banyan`'s commands as well.
pub fn own_program() -> PathBuf {
    std::env::current_exe().unwrap_or_else(|_| program())
}

/// An open shop with goods on its shelf.
pub async fn open(stage: &Stage, options: ShopOptions) -> ShopProcess {
    let shop = stage.shop("shop", options).await;
    shop.stock(&SKUS, 100_000).await;
    shop
}

/// A shop whose modules are processes of their own, each on its own database.
///
/// # Errors
/// Where there is no broker to be had: what is shown instead says why.
pub async fn taken_apart(stage: &Stage, plan: Plan) -> Result<Apart, Shown> {
    let started = tokio::task::spawn_blocking(Broker::start).await.expect("a broker starts");
    let broker = started.map_err(|why| Shown { figure: why, as_said: false })?;
    // Both sides of a route are on one.
    let databases = if plan.routed { Databases::Shared } else { Databases::Own };
    let plan = Plan { databases, ..plan };
    Ok(Apart::start(stage, "shop", &Arc::new(broker), plan).await)
}

/// So many baskets of two products.
pub fn baskets(name: &str, count: usize) -> Vec<Wish> {
    let of = |n: usize| {
        let skus = [SKUS[n % SKUS.len()], SKUS[(n / SKUS.len() + n + 1) % SKUS.len()]];
        let skus = if skus[0] == skus[1] { &skus[..1] } else { &skus[..] };
        Wish::of(&format!("customer-{}", n % CUSTOMERS), &format!("{name}-{n}"), skus)
    };
    (0..count).map(of).collect()
}

/// Places so many orders and waits until all have ended.
pub async fn played(shop: &ShopClient, name: &str, count: usize) -> (Vec<String>, BTreeMap<String, Value>) {
    let orders = shop.place_all(baskets(name, count), 32).await;
    let ended = shop.settled(&orders, ENDED).await.unwrap_or_else(|why| panic!("{why}"));
    (orders, ended)
}

/// How many of these ended so.
pub fn count(ended: &BTreeMap<String, Value>, state: &str) -> usize {
    ended.values().filter(|order| order["state"] == state).count()
}

/// What the audit finds untrue once everybody has heard of every end, by check.
pub async fn findings(shop: &ShopClient) -> BTreeMap<String, String> {
    violations(&last_audit(shop).await)
}

/// The audit once everybody has heard of every end.
pub async fn last_audit(shop: &ShopClient) -> Value {
    let mut last = Value::Null;
    let judged = within(ENDED, "an audit without open orders", async || {
        last = shop.audit().await;
        (last["open"] == 0).then_some(())
    });
    judged.await.unwrap_or_else(|why| panic!("{why}: {last}"));
    last
}

/// The findings in a line.
pub fn in_words(found: &BTreeMap<String, String>) -> String {
    if found.is_empty() {
        return "audit clean".to_owned();
    }
    let brief = |(check, what): (&String, &String)| {
        let more = match what.lines().count() {
            0 | 1 => String::new(),
            lines => format!(" (and {} more)", lines - 1),
        };
        format!("audit red: {check}: {}{more}", what.lines().next().unwrap_or_default())
    };
    found.iter().map(brief).collect::<Vec<_>>().join("\n        ")
}

/// The public API's document that clients are built against.
pub fn agreed() -> Value {
    let text = fs::read_to_string("pacts/openapi/public/v1.json")
        .expect("the contract, seen from the project's root");
    serde_json::from_str(&text).expect("the contract is JSON")
}

/// Each operation of a document: `GET /v1/orders`.
pub fn operations(document: &Value) -> Vec<String> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let of = |(path, item): (&String, &Value)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(|(method, _)| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
    };
    paths.flat_map(of).collect()
}

/// A module's own login, as the shop itself has it.
pub fn role_pool(shop: &ShopClient, module: &str) -> PgPool {
    let options = shop.superuser().username(&banyan_store::role_of(module));
    PgPoolOptions::new().max_connections(1).connect_lazy_with(options)
}

/// The half and the hundredth-from-last of these, in milliseconds.
pub fn p50_p99(millis: &mut [f64]) -> (f64, f64) {
    millis.sort_by(f64::total_cmp);
    let at = |share: f64| {
        let last = millis.len().saturating_sub(1);
        millis.get((last as f64 * share).round() as usize).copied().unwrap_or(f64::NAN)
    };
    (at(0.5), at(0.99))
}

/// The server of a shop's private PostgreSQL and its children, which change their names.
pub fn processes_of_postgres(shop: &ShopClient) -> Vec<i32> {
    let text = fs::read_to_string(shop.data.join("postgres/postmaster.pid")).unwrap_or_default();
    let server: i32 = text.lines().next().and_then(|line| line.parse().ok()).unwrap_or_default();
    let parent = |pid: i32| -> Option<i32> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
    };
    let ids = fs::read_dir("/proc").into_iter().flatten().flatten();
    let ids = ids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    ids.filter(|pid| *pid == server || parent(*pid) == Some(server)).collect()
}
