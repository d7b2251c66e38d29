//! An order that backed off waits for its time, or for its callee to answer again.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use banyan_kernel::{Answer, Clock, SLOTS};
use banyan_store::{Held, Position};
use inventory_api::{
    Inventory,
    testing::{FakeInventory, context, receipt},
};
use orders_core::{DriveConfig, Ports};
use payments_api::testing::{FakePayments, Said};
use shipping_api::testing::FakeShipping;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::world::World;

const WITHIN: Duration = Duration::from_secs(60);
/// On a busy machine a lock may not be had within its second: then it backs off once more, and with a clock that stands only another answer
/// wakes it.
const TURNS: u64 = 10;
const TURN: Duration = Duration::from_secs(10);
const PARKED: &str = "select count(*) from orders where open and waiting is not null";
const OPEN: &str = "select count(*) from orders where open";

#[tokio::test]
async fn what_backed_off_is_asked_again_when_its_callee_answers_again() {
    let world = World::new().await;
    let clock: Arc<dyn Clock> = world.clock.clone();
    let (inventory, payments) = (Arc::new(FakeInventory::new(clock)), Arc::new(FakePayments::default()));
    let booked = inventory.receive(context(), vec![receipt("in", &[("A", 10)])]).await;
    assert!(matches!(booked[..], [Answer::Done(_)]));
    let order = world.placed("parked").await;
    payments.script(order, "authorise", [Said::Unavailable]);
    let ports = Ports { inventory, payments: payments.clone(), shipping: Arc::new(FakeShipping::default()) };
    let (answers_again, woken) = watch::channel(0);
    let saga = world.orders.saga(ports, DriveConfig::default()).woken_by(woken);
    let slot =
        |slot| (slot, Held { slot, epoch: 1, position: Position::START, carried: None, abandoned: None });
    let (_slots, held) = watch::channel((0..SLOTS).map(slot).collect::<BTreeMap<_, _>>());
    let stop = CancellationToken::new();
    let running = tokio::spawn(saga.run(held, stop.clone()));
    // The clock stands: by itself its time never comes.
    until(async || world.count(PARKED).await == 1).await;
    assert!(payments.book(order).is_empty(), "it was not asked again by itself");
    let mut ended = false;
    for answered in 1..=TURNS {
        answers_again.send_replace(answered);
        let wait = until(async || world.count(OPEN).await == 0);
        ended = tokio::time::timeout(TURN, wait).await.is_ok();
        if ended {
            break;
        }
        println!("woken {answered} times and not ended");
    }
    assert!(ended, "it was woken and did not end");
    assert_eq!(payments.book(order), ["authorised", "captured"]);
    stop.cancel();
    running.await.expect("it ends");
}

async fn until(mut holds: impl AsyncFnMut() -> bool) {
    let waited = tokio::time::timeout(WITHIN, async {
        while !holds().await {
            tokio::task::yield_now().await;
        }
    });
    waited.await.expect("it comes to hold");
}
