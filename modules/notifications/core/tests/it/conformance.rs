//! The port's conformance suite: on the fake and on PostgreSQL.

use async_trait::async_trait;
use banyan_kernel::{CustomerId, Envelope, OrderId, Timestamp};
use notifications_api::{
    MailFacts, Notifications,
    testing::{FakeNotifications, UnderTest, conformance},
};

use crate::world::{World, accepted, handed_over};

#[async_trait]
impl UnderTest for World {
    fn port(&self) -> &dyn Notifications {
        &*self.notifications
    }

    fn facts(&self) -> &dyn MailFacts {
        &*self.notifications
    }

    async fn accepted(&self, order: OrderId, customer: CustomerId, at: Timestamp) {
        self.hear(&[Envelope { time: at, ..accepted(order, customer) }]).await;
    }

    async fn shipped(&self, order: OrderId, at: Timestamp) {
        self.hear(&[Envelope { time: at, ..handed_over(order) }]).await;
    }
}

struct Fake(FakeNotifications);

#[async_trait]
impl UnderTest for Fake {
    fn port(&self) -> &dyn Notifications {
        &self.0
    }

    fn facts(&self) -> &dyn MailFacts {
        &self.0
    }

    async fn accepted(&self, order: OrderId, customer: CustomerId, at: Timestamp) {
        self.0.accepted(order, customer, at);
    }

    async fn shipped(&self, order: OrderId, at: Timestamp) {
        self.0.shipped(order, at);
    }
}

#[tokio::test]
async fn the_fake_conforms() {
    conformance(&Fake(FakeNotifications::default())).await;
}

#[tokio::test]
async fn notifications_on_postgres_conform() {
    conformance(&World::new(false).await).await;
}
