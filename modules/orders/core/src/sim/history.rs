//! One history, from the first order to the last end.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use banyan_kernel::{Clock, Context, OrderId, TraceParent, stable_hash};
use banyan_store::Signal;
use inventory_api::{
    Inventory,
    testing::{context, receipt},
};
use orders_api::Resolution;
use tokio::time::{Instant, sleep};

use super::{
    Rng,
    process::{Process, Seeded, Shop},
};
use crate::{
    cancel,
    memory::MemoryLog,
    resolve,
    stage::{Modules, VirtualClock, Weather, Weathered, balance, created, placed},
};

const ORDERS: u64 = 6;
/// Of the history's own time, once nothing goes wrong any more.
const END_WITHIN: Duration = Duration::from_secs(120);

/// What a test plants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bug {
    None,
    /// A save does not look at the stream's version.
    CarelessLog,
    /// What comes before the pivot is not recorded before it.
    PivotUnrecorded,
    /// An attempt grows without an event.
    AttemptUnrecorded,
    /// An undo of what was never seen leaves nothing behind.
    NoTombstones,
}

impl Bug {
    pub const PLANTED: [Self; 4] =
        [Self::CarelessLog, Self::PivotUnrecorded, Self::AttemptUnrecorded, Self::NoTombstones];
}

struct History {
    shop: Arc<Shop>,
    clock: Arc<VirtualClock>,
    rng: Rng,
    processes: Vec<Process>,
    next: u64,
    placed: u64,
}

pub(crate) async fn play(seed: u64, bug: Bug) -> Result<u64, String> {
    let mut history = History::new(seed, bug).await;
    history.start();
    for _ in 0..25 + history.rng.below(25) {
        history.disturb().await;
        let pause = history.rng.below(200);
        sleep(Duration::from_millis(pause)).await;
    }
    history.calm().await;
    let rows = history.shop.log.all();
    balance(&history.shop.modules, &rows).await?;
    let heads: Vec<u8> = rows.iter().flat_map(|row| row.order.hash).collect();
    Ok(stable_hash(&heads))
}

impl History {
    async fn new(seed: u64, bug: Bug) -> Self {
        let mut rng = Rng::new(seed, 1);
        let start = Instant::now();
        let clock = Arc::new(VirtualClock::new(start, 0));
        let mut modules = Modules::new(clock.clone());
        modules.forgets_tombstones = bug == Bug::NoTombstones;
        // Of orders of two each; at times too few for all of them.
        let received = 4 + i64::try_from(rng.below(12)).expect("few");
        modules.inventory.receive(context(), vec![receipt("in", &[("A", received)])]).await;
        let mut log = MemoryLog::default();
        log.is_careless = bug == Bug::CarelessLog;
        let log = Arc::new(log);
        let is_calm = AtomicBool::new(false);
        let shop = Arc::new(Shop { seed, bug, log, modules: Arc::new(modules), start, is_calm });
        Self { shop, clock, rng, processes: Vec::new(), next: 100, placed: 0 }
    }

    fn start(&mut self) {
        self.next += 1;
        self.processes.push(Process::start(&self.shop, self.next));
    }

    fn place(&mut self) {
        let method = match self.rng.below(10) {
            0 => "pm_card_chargeDeclined",
            1 => "pm_sandbox_captureFails",
            _ => "pm_card_visa",
        };
        let (order, first) =
            placed(&format!("{}/{}", self.shop.seed, self.placed), created(method, 2), self.clock.now());
        if self.rng.percent(10) {
            self.shop.modules.is_undeliverable(order.id);
        }
        self.shop.log.place((order, first));
        self.placed += 1;
    }

    async fn disturb(&mut self) {
        if self.processes.is_empty() {
            self.start();
        }
        let chosen = usize::try_from(self.rng.below(self.processes.len() as u64)).expect("few");
        match self.rng.below(20) {
            0..=5 if self.placed < ORDERS => self.place(),
            6..=8 if self.processes.len() < 3 => self.start(),
            9..=11 => self.processes.swap_remove(chosen).kill(),
            12 => {
                let rng = &mut self.rng;
                self.processes[chosen].hold(|_| rng.percent(60));
            }
            13 => {
                let skew = [0, 600_000_000, -600_000_000, 20_000_000][self.rng.below(4) as usize];
                self.processes[chosen].clock.skew_micros.store(skew, Ordering::SeqCst);
            }
            14 => drop(self.shop.modules.inventory.expire()),
            15..=17 => self.wish_to_cancel(),
            _ => self.look_at_stuck().await,
        }
    }

    /// Somebody's request, on its way through a process of its own.
    fn wish_to_cancel(&mut self) {
        let rows = self.shop.log.all();
        let Some(row) = rows.get(self.rng.below(ORDERS) as usize) else { return };
        self.next += 1;
        let (log, clock, order) = (self.log(), self.clock.clone() as Arc<dyn Clock>, row.order.id);
        tokio::spawn(async move {
            // A wish that is not recorded is not promised.
            let _ = cancel::cancel(&log, &clock, order, "changed my mind".to_owned(), &somebody(order)).await;
        });
    }

    /// The log, as a process that only serves requests sees it.
    fn log(&self) -> Weathered {
        let weather: Arc<dyn Weather> = Arc::new(Seeded::new(&self.shop, self.next));
        Weathered { log: self.shop.log.clone(), weather, signal: Signal::default() }
    }

    /// Somebody looks at what is stuck and decides.
    async fn look_at_stuck(&mut self) {
        self.next += 1;
        let (log, clock) = (self.log(), self.clock.clone() as Arc<dyn Clock>);
        for row in self.shop.log.all() {
            let order = row.order.id;
            if row.order.broken.is_some() {
                let how = if self.rng.percent(70) { Resolution::Retry } else { Resolution::Cancel };
                let (why, who) = ("seen".to_owned(), somebody(order));
                // Who is not heard looks again.
                let _ = resolve::resolve(&log, &clock, order, how, why, &who).await;
            }
        }
    }

    /// Nothing goes wrong any more: every order must end.
    async fn calm(&mut self) {
        self.shop.is_calm.store(true, Ordering::SeqCst);
        while self.placed < ORDERS {
            self.place();
        }
        while self.processes.len() < 2 {
            self.start();
        }
        self.processes.iter().for_each(|process| process.hold(|_| true));
        let deadline = Instant::now() + END_WITHIN;
        while !self.is_over() {
            // What did not end, the books name.
            if Instant::now() >= deadline {
                break;
            }
            self.look_at_stuck().await;
            sleep(Duration::from_secs(1)).await;
        }
    }

    fn is_over(&self) -> bool {
        let is_quiet = self.shop.modules.late.load(Ordering::SeqCst) == 0;
        is_quiet && self.shop.log.all().iter().all(|row| row.order.ended.is_some())
    }
}

fn somebody(order: OrderId) -> Context {
    Context::system("somebody", TraceParent::root(order.0))
}
