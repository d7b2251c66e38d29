//! The log conforms.

use async_trait::async_trait;
use banyan_kernel::{OrderId, Timestamp};
use orders_core::log::OrderLog;

use crate::{
    log_suite::{LogUnderTest, conformance},
    world::World,
};

#[async_trait]
impl LogUnderTest for World {
    fn log(&self) -> &dyn OrderLog {
        &self.log
    }

    fn now(&self) -> Timestamp {
        World::now(self)
    }

    async fn place(&self, name: &str) -> OrderId {
        let order = self.placed(name).await;
        self.clock.advance_micros(1);
        order
    }
}

#[tokio::test]
async fn postgres_conforms() {
    conformance(&World::new().await).await;
}
