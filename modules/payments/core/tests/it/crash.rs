//! The process dies at any moment: another finds what it intended, and each effect happens once.

use std::time::Duration;

use banyan_kernel::{Answer, OrderId};
use payments_api::{
    Payments,
    testing::{UnderTest, ask_until_settled, authorise, capture, order, refund, void},
};
use payments_core::GatewayConfig;
use tokio::runtime::{Builder, Runtime};

use crate::world::{SECRET, World, store};

/// A process of its own, as far as the module can tell: its tasks and connections die with it.
struct Process {
    runtime: Runtime,
    payments: std::sync::Arc<payments_core::Payments>,
}

impl Process {
    fn start(world: &World) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let entered = runtime.enter();
        let config = GatewayConfig::new(world.sandbox.url(), SECRET);
        let payments = payments_core::Payments::new(store(&world.database, 2, world.clock.clone()), config);
        drop(entered);
        Self { runtime, payments }
    }

    /// Asks, and dies so long after.
    async fn ask_and_die(self, order: OrderId, step: usize, after: Duration) {
        let payments = self.payments.clone();
        self.runtime.spawn(async move { ask(&payments, order, step).await });
        tokio::time::sleep(after).await;
        self.runtime.shutdown_background();
    }
}

async fn ask(payments: &payments_core::Payments, order: OrderId, step: usize) -> bool {
    let pending = |pending: bool| !pending;
    match step {
        0 => {
            pending(payments.authorise(vec![authorise(order, 1, "pm_card_visa")]).await[0] == Answer::Pending)
        }
        1 => pending(payments.capture(vec![capture(order, 1)]).await[0] == Answer::Pending),
        2 => pending(payments.refund(vec![refund(order, 1)]).await[0] == Answer::Pending),
        _ => pending(payments.void(vec![void(order, 1)]).await[0] == Answer::Pending),
    }
}

/// The step, after the process that was asked for it died, is finished by another.
async fn finished_by_another(world: &World, order: OrderId, step: usize) {
    for _ in 0..1_000 {
        if ask(&world.payments, order, step).await {
            return;
        }
        world.settle().await;
    }
    panic!("step {step} of {order} stays pending");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_each_effect_happens_once() {
    let world = World::new().await;
    for n in 0..24_u64 {
        let order = order(&format!("crash-{n}"));
        let steps = if n % 3 == 2 { vec![0, 3] } else { vec![0, 1, 2] };
        for step in &steps {
            let after = Duration::from_micros(n * 1_500);
            Process::start(&world).ask_and_die(order, *step, after).await;
            finished_by_another(&world, order, *step).await;
        }
        let undone = if steps.len() == 2 {
            vec!["authorised", "cancelled"]
        } else {
            vec!["authorised", "captured", "refunded"]
        };
        assert_eq!(world.book(order).await, undone, "killed after {} µs", n * 1_500);
        assert_eq!(world.told_of(order).await.len(), steps.len());
    }
    world.balances().await;
}

/// Between the intent's commit and the gateway's answer: the intent is there, and nobody asked again meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_intent_without_an_outcome_is_found_by_the_reconciler() {
    let world = World::with(|config| config.slow_ms = 2_000, |_| ()).await;
    let order = order("intent");
    let process = Process::start(&world);
    let payments = process.payments.clone();
    process
        .runtime
        .spawn(async move { payments.authorise(vec![authorise(order, 1, "pm_sandbox_slow")]).await });
    world.until(order, "authorising").await;
    process.runtime.shutdown_background();
    assert_eq!(world.column(order, "state").await.as_deref(), Some("authorising"));
    assert_eq!(world.turn().await, 0, "not due yet");
    let ask = || world.payments.authorise(vec![authorise(order, 1, "pm_sandbox_slow")]);
    assert_eq!(ask().await, [Answer::Pending]);
    let held = ask_until_settled(&world, ask).await;
    assert!(matches!(&held, Answer::Done(reply) if reply.asked_again), "{held:?}");
    assert_eq!(world.book(order).await, ["authorised"]);
}
