//! A bad day: a shop of some shape, customers of every kind, and something that goes wrong amid it. In the end everything must be true.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc, time::Duration};

use banyan_kafka::testing::Broker;
use reqwest::Method;
use serde_json::json;
use tokio::{task::JoinHandle, time::Instant};

use crate::stage::{
    Apart, Databases, MODULES, Plan, Quality, ShopClient, ShopOptions, Stage, Wish, process::Process, until,
};

/// How a shop is taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One process, its bus in the database.
    Local,
    /// One process on Kafka.
    Kafka,
    /// Inventory out, on the shop's database.
    InventoryOut,
    /// Payments and shipping out, on the shop's database.
    GatewaysOut,
    /// All six out, each on its own database.
    AllOut,
    /// The same, two processes of each.
    AllOutTwice,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of the front, which is started again.
    KillFront,
    /// The same of a module's process.
    Kill(&'static str),
    /// The database server is killed, and started again by the front.
    Database,
    /// The broker is killed, and started again after a while.
    BrokerKilled,
    /// The broker stands still for a while.
    BrokerFrozen,
    /// The line to a module is cut for a while.
    Cut(&'static str),
    /// What a module is asked arrives, its answers do not, for a while.
    OneWay(&'static str),
    /// All lines are late: 200 ms, give or take 100.
    Late,
    /// Of the connections to all modules half are reset.
    Resets,
    /// A module's process stands still every other second.
    Slow(&'static str),
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// How many orders ended, and how.
    pub ended: BTreeMap<String, usize>,
    /// From the end of the fault until the last order had ended that was open then.
    pub recovered_in: Duration,
}

const ORDERS: usize = 96;
const AT_ONCE: usize = 8;
/// Of them so many are placed when it begins.
const AMID: usize = 24;
const LASTS: Duration = Duration::from_secs(5);
/// Between two tries of a request without an answer.
const AGAIN: Duration = Duration::from_millis(100);
const ENDED: Duration = Duration::from_secs(150);
const SKUS: [&str; 4] = ["APPLE", "PEAR", "PLUM", "FIG"];
/// Of this one there are so many, and everybody wants one.
const SCARCE: (&str, u32) = ("LAST-ONES", 8);
const CUSTOMERS: usize = 4;

impl Shape {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Local, Self::Kafka, Self::InventoryOut, Self::GatewaysOut, Self::AllOut, Self::AllOutTwice];

    fn out(self) -> &'static [&'static str] {
        match self {
            Self::Local | Self::Kafka => &[],
            Self::InventoryOut => &["inventory"],
            Self::GatewaysOut => &["payments", "shipping"],
            Self::AllOut | Self::AllOutTwice => &MODULES,
        }
    }

    /// What can go wrong with it.
    #[must_use]
    pub fn faults(self) -> Vec<Fault> {
        let mut faults = vec![Fault::KillFront, Fault::Database];
        faults.extend(self.out().iter().map(|module| Fault::Kill(module)));
        if self != Self::Local {
            faults.extend([Fault::BrokerKilled, Fault::BrokerFrozen]);
        }
        if let Some(asked) = self.asked() {
            faults.extend([
                Fault::Cut(asked),
                Fault::OneWay(asked),
                Fault::Slow(asked),
                Fault::Late,
                Fault::Resets,
            ]);
        }
        faults
    }

    /// One that the saga asks.
    fn asked(self) -> Option<&'static str> {
        self.out().iter().find(|module| ["inventory", "payments"].contains(module)).copied()
    }

    fn plan(self) -> Plan {
        let count = if self == Self::AllOutTwice { 2 } else { 1 };
        let is_all = matches!(self, Self::AllOut | Self::AllOutTwice);
        Plan {
            services: self.out().iter().map(|module| (*module, count)).collect(),
            databases: if is_all { Databases::Own } else { Databases::Shared },
            front: ShopOptions::args(&["--allow-faults", "--sandbox-faults", "everyday"]),
            lines: true,
            ..Plan::default()
        }
    }
}

/// Plays it: customers who order, some with a card that is declined, some for what is not there, some who change their minds.
///
/// # Errors
/// Where there is no broker to be had, and why.
///
/// # Panics
/// When an order does not end, or something is not true in the end.
pub async fn play(shape: Shape, fault: Fault) -> Result<Outcome, String> {
    let stage = Stage::new();
    let mut apart = match shape {
        Shape::Local => Apart::whole(&stage, "shop", shape.plan().front).await,
        _ => {
            let broker = tokio::task::spawn_blocking(Broker::start).await.expect("a broker starts")?;
            Apart::start(&stage, "shop", &Arc::new(broker), shape.plan()).await
        }
    };
    let shop = apart.front.client();
    shop.stock(&SKUS, 10_000).await;
    shop.stock(&[SCARCE.0], SCARCE.1).await;
    let customers = customers(&shop);
    until(ENDED, "orders to be under way", async || (placed(&shop).await >= AMID).then_some(())).await;
    amid(&mut apart, fault).await;
    let begins_again = Instant::now();
    let orders = customers.await.expect("who orders does not panic");
    let ended =
        apart.front.settled(&orders, ENDED).await.unwrap_or_else(|why| panic!("{shape} {fault}: {why}"));
    let recovered_in = begins_again.elapsed();
    let mut counts = BTreeMap::new();
    for order in ended.values() {
        *counts.entry(order["state"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
    }
    apart.front.clean_audit(ENDED).await;
    assert!(apart.stop().await, "{shape} {fault}: all drain");
    Ok(Outcome { ended: counts, recovered_in })
}

/// All that were placed so far; none while the shop is away.
async fn placed(shop: &ShopClient) -> usize {
    let token = shop.staff_token().await;
    let (_, page) = shop.get("/v1/orders?limit=100", &token).await;
    page["orders"].as_array().map_or(0, Vec::len)
}

/// Begins it, lets it last, ends it.
async fn amid(apart: &mut Apart, fault: Fault) {
    match fault {
        Fault::KillFront => apart.front.restart().await,
        Fault::Kill(module) => {
            apart.service(module).kill9().await;
            apart.service(module).restart().await;
        }
        Fault::Database => {
            let server = Process::now(apart.front.postgres_pid()).expect("a server that runs");
            server.signal(nix::sys::signal::Signal::SIGKILL);
            apart.front.ready(ENDED).await;
        }
        Fault::BrokerKilled => {
            apart
                .with_broker(|broker| {
                    broker.kill();
                    std::thread::sleep(LASTS);
                    broker.restart();
                })
                .await;
        }
        Fault::BrokerFrozen => {
            apart
                .with_broker(|broker| {
                    broker.freeze(true);
                    std::thread::sleep(LASTS);
                    broker.freeze(false);
                })
                .await;
        }
        Fault::Cut(module) => lines(apart, Some(module), Quality::Cut).await,
        Fault::OneWay(module) => lines(apart, Some(module), Quality::OneWay).await,
        Fault::Late => {
            let late =
                Quality::Late { by: Duration::from_millis(200), give_or_take: Duration::from_millis(100) };
            lines(apart, None, late).await;
        }
        Fault::Resets => lines(apart, None, Quality::Reset).await,
        Fault::Slow(module) => {
            for _ in 0..LASTS.as_secs() / 2 {
                apart.service(module).freeze();
                tokio::time::sleep(Duration::from_secs(1)).await;
                apart.service(module).thaw();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

/// The lines to a module, or to all, are so for a while.
async fn lines(apart: &Apart, module: Option<&str>, quality: Quality) {
    let these = || apart.lines.iter().filter(|(name, _)| module.is_none_or(|module| module == **name));
    these().flat_map(|(_, lines)| lines).for_each(|line| line.becomes(quality));
    tokio::time::sleep(LASTS).await;
    these().flat_map(|(_, lines)| lines).for_each(|line| line.becomes(Quality::Good));
}

/// Who orders, each in a row of their own: most get what they want.
fn customers(shop: &ShopClient) -> JoinHandle<Vec<String>> {
    let shop = shop.clone();
    tokio::spawn(async move {
        let orders = shop.place_all((0..ORDERS).map(wish).collect(), AT_ONCE);
        let changes_minds = async {
            for n in (0..ORDERS).filter(|n| n % 12 == 5) {
                change_mind(&shop, n).await;
            }
        };
        tokio::join!(orders, changes_minds).0
    })
}

fn wish(n: usize) -> Wish {
    let customer = format!("customer-{}", n % CUSTOMERS);
    let wish = Wish::of(&customer, &format!("wish-{n}"), &SKUS[..=n % SKUS.len()]);
    match n % 12 {
        3 => wish.paid_with("pm_card_chargeDeclined"),
        7 => Wish::of(&customer, &format!("wish-{n}"), &[SCARCE.0, SKUS[0]]),
        _ => wish,
    }
}

/// Orders, and cancels whatever that order is doing just then; one that is shipped by then stays so.
async fn change_mind(shop: &ShopClient, n: usize) {
    let wish = wish(n);
    let order = shop.place(&wish).await;
    let token = shop.customer_token(&wish.customer).await;
    let url = format!("{}/v1/orders/{order}/cancel", shop.api);
    let (key, body) = (format!("cancel-{n}"), json!({"reason": "changed their mind"}));
    let asked = Instant::now();
    let mut last = None;
    while asked.elapsed() < ENDED {
        let answer = shop.ask(Method::POST, &url, &token, Some(&key), Some(&body)).await;
        if answer.as_ref().is_ok_and(|answer| matches!(answer.status, 200 | 410)) {
            return;
        }
        last = Some(answer);
        tokio::time::sleep(AGAIN).await;
    }
    panic!("nobody answered whether {order} is cancelled: {last:?}");
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "local",
            Self::Kafka => "kafka",
            Self::InventoryOut => "inventory-out",
            Self::GatewaysOut => "gateways-out",
            Self::AllOut => "all-out",
            Self::AllOutTwice => "all-out-twice",
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KillFront => f.write_str("kill-front"),
            Self::Kill(module) => write!(f, "kill-{module}"),
            Self::Database => f.write_str("database"),
            Self::BrokerKilled => f.write_str("broker-killed"),
            Self::BrokerFrozen => f.write_str("broker-frozen"),
            Self::Cut(module) => write!(f, "cut-{module}"),
            Self::OneWay(module) => write!(f, "one-way-{module}"),
            Self::Late => f.write_str("late"),
            Self::Resets => f.write_str("resets"),
            Self::Slow(module) => write!(f, "slow-{module}"),
        }
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|shape| shape.to_string() == text);
        found.ok_or_else(|| format!("one of {}", Self::ALL.map(|shape| shape.to_string()).join(", ")))
    }
}

impl Shape {
    /// Of what can go wrong with it, what is called so.
    ///
    /// # Errors
    /// With all that can, where this cannot.
    pub fn fault(self, text: &str) -> Result<Fault, String> {
        let all = self.faults();
        let names = || all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let found = all.iter().find(|fault| fault.to_string() == text);
        found.copied().ok_or_else(|| format!("of {self} one of {}", names()))
    }
}
