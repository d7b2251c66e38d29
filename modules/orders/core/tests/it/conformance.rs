//! The port's conformance suite: on the fake and on PostgreSQL.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_kernel::{ManualClock, Money, OrderId};
use orders_api::{
    OrderFacts, Orders,
    testing::{FakeOrders, PRICE_MINOR, UnderTest, conformance, sku},
};

use crate::real::Real;

#[async_trait]
impl UnderTest for Real {
    fn port(&self) -> &dyn Orders {
        &*self.orders
    }

    fn facts(&self) -> &dyn OrderFacts {
        &*self.orders
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    async fn end(&self, order: OrderId) {
        self.record_the_end(order).await;
    }

    async fn stop(&self, order: OrderId) {
        self.record_a_stop(order).await;
    }

    async fn catch_up(&self) {
        self.views_show_all().await;
    }
}

struct Fake {
    orders: FakeOrders,
    clock: Arc<ManualClock>,
}

impl Fake {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at_micros(1_750_000_000_000_000));
        let orders = FakeOrders::new(clock.clone());
        let price = |minor| Some(Money { minor, currency: "USD".parse().expect("a currency") });
        for name in ["tea", "rice", "salt"] {
            orders.sell(sku(name), price(PRICE_MINOR));
        }
        orders.sell(sku("castle"), price(1 << 40));
        orders.sell(sku("candle"), None);
        Self { orders, clock }
    }
}

#[async_trait]
impl UnderTest for Fake {
    fn port(&self) -> &dyn Orders {
        &self.orders
    }

    fn facts(&self) -> &dyn OrderFacts {
        &self.orders
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    async fn end(&self, order: OrderId) {
        self.orders.end(order);
    }

    async fn stop(&self, order: OrderId) {
        self.orders.stop(order);
    }

    /// Its lists are never behind.
    async fn catch_up(&self) {}
}

#[tokio::test]
async fn the_fake_conforms() {
    conformance(&Fake::new()).await;
}

#[tokio::test]
async fn orders_on_postgres_conform() {
    conformance(&Real::new().await).await;
}
