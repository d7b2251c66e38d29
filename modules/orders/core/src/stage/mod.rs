//! A stage for the saga: modules in memory whose answers go wrong as a test likes, and books that must
//! balance whatever happened.

mod books;
mod faulty;
mod table;
mod weathered;

use std::{sync::atomic::AtomicI64, time::Duration};

use banyan_kernel::{
    Actor, Clock, CommandId, CustomerId, ManualClock, Money, OrderId, Timestamp, TraceParent,
};
use futures::future::BoxFuture;
use orders_api::PricedLine;
use tokio::time::Instant;
use uuid::Uuid;

use crate::{
    event::Created,
    order::{Order, Recorded},
    saga,
};

pub(crate) use books::balance;
pub(crate) use faulty::{Faulty, Modules};
pub(crate) use weathered::Weathered;

/// What becomes of one item asked of a module.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    /// Nothing done.
    Pending,
    /// Nothing done.
    Unavailable,
    /// Nothing done.
    Broken,
    /// Done, and called broken.
    BrokenThoughDone,
    /// Done, and the answer lost.
    Lost,
    /// Done after so long; the asker gave up.
    Late(Duration),
    /// Asked for twice.
    Twice,
}

/// What becomes of one save.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFault {
    None,
    BeforeCommit,
    AfterCommit,
}

/// One item asked of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    pub id: CommandId,
    pub undo: bool,
}

/// Where a driver is: it can be interrupted at each.
#[derive(Clone, Copy, Debug)]
pub(crate) enum At<'a> {
    Reading,
    Saving,
    Saved,
    Asking(&'a [Asked]),
    Answered(&'a [Asked]),
}

/// What happens to a driver and to what it asks.
pub(crate) trait Weather: Send + Sync + 'static {
    fn fault(&self, asked: &Asked) -> Fault;
    fn log_fault(&self) -> LogFault;
    fn step<'a>(&'a self, at: At<'a>) -> BoxFuture<'a, ()>;
}

/// The runtime's virtual time as a time of day, which may be wrong.
pub(crate) struct VirtualClock {
    start: Instant,
    pub skew_micros: AtomicI64,
}

impl VirtualClock {
    pub fn new(start: Instant, skew_micros: i64) -> Self {
        Self { start, skew_micros: AtomicI64::new(skew_micros) }
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        let elapsed = i64::try_from(self.start.elapsed().as_micros()).expect("a short test");
        let skew = self.skew_micros.load(std::sync::atomic::Ordering::SeqCst);
        ManualClock::at_micros(1_750_000_000_000_000 + elapsed + skew).now()
    }
}

/// What an order of this stage asks for.
pub(crate) fn created(method: &str, quantity: i64) -> Created {
    let quantity = quantity.try_into().expect("a quantity");
    let unit_price = Money { minor: 250, currency: "USD".parse().expect("a currency") };
    let sku = inventory_api::testing::sku("A");
    Created {
        customer: CustomerId(Uuid::from_u128(1)),
        total: unit_price.times(quantity).expect("a total"),
        lines: vec![PricedLine { sku, quantity, unit_price }],
        payment_method: method.to_owned(),
        request_hash: "hash".to_owned(),
        saga: saga::VERSION,
    }
}

/// An order of this name, as placed.
pub(crate) fn order(name: &str, at: Timestamp) -> (Order, Recorded) {
    placed(name, created("pm_card_visa", 2), at)
}

/// As [`order`], of this content.
pub(crate) fn placed(name: &str, created: Created, at: Timestamp) -> (Order, Recorded) {
    let id = OrderId::derive("test", name);
    Order::create(id, created, TraceParent::root(id.0), at, &Actor::system("test"))
}
