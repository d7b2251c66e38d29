//! The port's conformance suite: on the fake, on PostgreSQL and the sandbox, and with everything going wrong.

use std::time::Duration;

use async_trait::async_trait;
use banyan_kernel::{Answer, OrderId};
use shipping_api::{
    Parcels, Shipping,
    testing::{FakeShipping, Said, UnderTest, book, conformance, order},
};

use crate::world::World;

#[derive(Default)]
struct Fake(FakeShipping);

#[async_trait]
impl UnderTest for Fake {
    fn port(&self) -> &dyn Shipping {
        &self.0
    }

    fn parcels(&self) -> &dyn Parcels {
        &self.0
    }

    async fn arrive(&self) {
        self.0.arrive();
    }

    async fn settle(&self) {}

    async fn book(&self, order: OrderId) -> Vec<String> {
        self.0.book_of(order)
    }

    async fn ship(&self, order: OrderId) {
        self.0.dispatch(order);
    }
}

#[tokio::test]
async fn the_fake_conforms() {
    conformance(&Fake::default()).await;
}

#[tokio::test]
async fn the_fake_says_what_it_is_told() {
    let fake = FakeShipping::default();
    let order = order("scripted");
    fake.script(order, "book", [Said::Unavailable, Said::Pending, Said::Lost]);
    let mut answers = Vec::new();
    for _ in 0..4 {
        answers.extend(fake.book(vec![book(order, 1)]).await);
    }
    assert!(matches!(&answers[0], Answer::Unavailable(_)));
    assert_eq!(answers[1..3], [Answer::Pending, Answer::Pending]);
    assert!(matches!(&answers[3], Answer::Done(reply) if reply.asked_again));
    assert_eq!(fake.book_of(order), ["shipment_booked"]);
}

#[tokio::test]
async fn postgres_conforms() {
    conformance(&World::with(|config| config.deliver_after_s = Some(0), |_| ()).await).await;
}

/// Each step meets each fault, of three calls one; what was done is done once, and all answers are as if
/// nothing had gone wrong. More of them, and the breaker would be open most of the time.
#[tokio::test]
async fn it_conforms_while_everything_goes_wrong() {
    let cells = ["book", "cancel"].map(|step| {
        format!("{step}.timeout=7%,{step}.late=7%,{step}.twice=20%,{step}.garbage=8%,{step}.down=10%")
    });
    for seed in 1..=3 {
        let world = World::with(
            |config| {
                (config.seed, config.late_ms, config.deliver_after_s) = (seed, 150, Some(0));
                config.profile = cells.join(",").parse().expect("a profile");
            },
            |callee| {
                (callee.time_out, callee.soft_wait) = (Duration::from_millis(100), Duration::from_millis(50));
            },
        );
        conformance(&world.await).await;
    }
}
