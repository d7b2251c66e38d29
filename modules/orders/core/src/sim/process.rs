//! One process of the shop: the saga's reconciler on its own slots, its own clock, in bad weather.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use banyan_kernel::SLOTS;
use banyan_store::{Held, Position, Signal};
use futures::future::BoxFuture;
use tokio::{sync::watch, task::JoinHandle, time::Instant};
use tokio_util::sync::CancellationToken;

use super::{Rng, history::Bug};
use crate::{
    DriveConfig, Driver, SagaReconciler,
    drive::Planted,
    memory::MemoryLog,
    stage::{Asked, At, Fault, Faulty, LogFault, Modules, VirtualClock, Weather, Weathered},
};

/// What all processes share.
pub(crate) struct Shop {
    pub seed: u64,
    pub bug: Bug,
    pub log: Arc<MemoryLog>,
    pub modules: Arc<Modules>,
    pub start: Instant,
    /// Nothing goes wrong any more.
    pub is_calm: AtomicBool,
}

/// Seeded faults and delays.
pub(crate) struct Seeded {
    shop: Arc<Shop>,
    rng: Mutex<Rng>,
}

impl Seeded {
    pub fn new(shop: &Arc<Shop>, who: u64) -> Self {
        Self { shop: shop.clone(), rng: Mutex::new(Rng::new(shop.seed, who)) }
    }

    fn below(&self, end: u64) -> u64 {
        self.rng.lock().expect("no panic").below(end)
    }

    fn is_calm(&self) -> bool {
        self.shop.is_calm.load(Ordering::SeqCst)
    }
}

impl Weather for Seeded {
    fn fault(&self, _: &Asked) -> Fault {
        if self.is_calm() {
            return Fault::None;
        }
        match self.below(100) {
            0..=4 => Fault::Pending,
            5..=9 => Fault::Unavailable,
            10..=14 => Fault::Lost,
            15..=19 => Fault::Late(Duration::from_millis(self.below(3_000))),
            20..=22 => Fault::Twice,
            23 => Fault::Broken,
            24 => Fault::BrokenThoughDone,
            _ => Fault::None,
        }
    }

    fn log_fault(&self) -> LogFault {
        match self.below(20) {
            0 if !self.is_calm() => LogFault::BeforeCommit,
            1 if !self.is_calm() => LogFault::AfterCommit,
            _ => LogFault::None,
        }
    }

    /// Often none, mostly short, at times long.
    fn step<'a>(&'a self, _: At<'a>) -> BoxFuture<'a, ()> {
        let most = match self.below(10) {
            0..=2 => return Box::pin(tokio::task::yield_now()),
            3..=8 => 5_000,
            _ => 300_000,
        };
        let delay = Duration::from_micros(1 + self.below(most));
        Box::pin(tokio::time::sleep(delay))
    }
}

/// A process that lives.
pub(crate) struct Process {
    pub clock: Arc<VirtualClock>,
    slots: watch::Sender<BTreeMap<u16, Held>>,
    task: JoinHandle<()>,
}

fn held(slots: impl Iterator<Item = u16>) -> BTreeMap<u16, Held> {
    slots
        .map(|slot| {
            (slot, Held { slot, epoch: 1, position: Position::START, carried: None, abandoned: None })
        })
        .collect()
}

impl Process {
    pub fn start(shop: &Arc<Shop>, who: u64) -> Self {
        let clock = Arc::new(VirtualClock::new(shop.start, 0));
        let weather: Arc<dyn Weather> = Arc::new(Seeded::new(shop, who));
        let signal = Signal::default();
        let log = Weathered { log: shop.log.clone(), weather: weather.clone(), signal: signal.clone() };
        let config = DriveConfig {
            hold: Duration::from_secs(3),
            back_off: Duration::from_millis(50),
            batch: 3,
            batches: 2,
        };
        let ports = Faulty::ports(&shop.modules, weather);
        let mut driver = Driver::new(Arc::new(log), ports, clock.clone(), config);
        driver.planted = match shop.bug {
            Bug::PivotUnrecorded => Planted::PivotUnrecorded,
            Bug::AttemptUnrecorded => Planted::AttemptUnrecorded,
            _ => Planted::Nothing,
        };
        let (slots, of) = watch::channel(held(0..SLOTS));
        let reconciler = SagaReconciler::new(driver, signal);
        Self { clock, slots, task: tokio::spawn(reconciler.run(of, CancellationToken::new())) }
    }

    /// Some of the slots, whoever else has them.
    pub fn hold(&self, is_held: impl FnMut(&u16) -> bool) {
        self.slots.send_replace(held((0..SLOTS).filter(is_held)));
    }

    /// At whatever it is.
    pub fn kill(&self) {
        self.task.abort();
    }
}
