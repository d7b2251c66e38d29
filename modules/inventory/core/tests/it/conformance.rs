//! The port's conformance suite: on the fake and on PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{ManualClock, OrderId};
use inventory_api::{
    Inventory,
    testing::{FakeInventory, UnderTest, a_batch_is_decided_in_the_order_of_ids, conformance},
};

use crate::world::World;

struct Fake {
    clock: Arc<ManualClock>,
    inventory: FakeInventory,
}

#[async_trait]
impl UnderTest for Fake {
    fn port(&self) -> &dyn Inventory {
        &self.inventory
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    async fn ship(&self, order: OrderId) {
        self.inventory.ship(order);
    }

    async fn expire(&self) {
        self.inventory.expire();
    }
}

#[tokio::test]
async fn the_fake_conforms() {
    let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
    let fake = Fake { inventory: FakeInventory::new(clock.clone()), clock };
    conformance(&fake).await;
    a_batch_is_decided_in_the_order_of_ids(&fake).await;
}

#[tokio::test]
async fn postgres_conforms_and_its_books_balance() {
    let world = World::new().await;
    conformance(&world).await;
    a_batch_is_decided_in_the_order_of_ids(&world).await;
    assert_eq!(world.inventory.stock_violations().await.expect("violations"), []);
}
