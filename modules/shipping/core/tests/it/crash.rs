//! The process dies at any moment: another finds what it intended, and each effect happens once.

use std::{sync::Arc, time::Duration};

use banyan_kernel::{Answer, OrderId};
use shipping_api::{
    Shipping,
    testing::{UnderTest, book_from, cancel, order},
};
use shipping_core::CarrierConfig;
use tokio::runtime::Builder;

use crate::world::{SECRET, World, store};

/// Only a test that fails waits so long.
const PATIENCE: Duration = Duration::from_secs(30);

async fn ask(shipping: &shipping_core::Shipping, order: OrderId, undo: bool) -> bool {
    if undo {
        shipping.cancel(vec![cancel(order, 1)]).await[0] != Answer::Pending
    } else {
        shipping.book(vec![book_from(order, 1, &["main", "north"])]).await[0] != Answer::Pending
    }
}

/// A process of its own, as far as the module can tell: its tasks and connections die with it.
async fn ask_and_die(world: &World, order: OrderId, undo: bool, after: Duration) {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let entered = runtime.enter();
    let config = CarrierConfig::new(world.sandbox.url(), SECRET);
    let shipping: Arc<_> =
        shipping_core::Shipping::new(store(&world.database, 2, world.clock.clone()), config);
    drop(entered);
    runtime.spawn(async move { ask(&shipping, order, undo).await });
    tokio::time::sleep(after).await;
    runtime.shutdown_background();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_each_effect_happens_once() {
    let world = World::new().await;
    for n in 0..24_u64 {
        let order = order(&format!("crash-{n}"));
        for undo in [false, true] {
            ask_and_die(&world, order, undo, Duration::from_micros(n * 1_500)).await;
            let finished_by_another = async {
                while !ask(&world.shipping, order, undo).await {
                    world.settle().await;
                }
            };
            tokio::time::timeout(PATIENCE, finished_by_another).await.expect("it is finished by another");
        }
        let book = world.book(order).await;
        assert_eq!(book, ["shipment_booked", "shipment_cancelled"], "killed after {} µs", n * 1_500);
        assert_eq!(world.told_of(order).await.len(), 2);
    }
}
