//! The saga's table: each step, and whatever can come of asking for it.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use banyan_kernel::{Actor, Answer, Clock, Command, CommandId, Context, OrderId, Role, TraceParent};
use banyan_store::Signal;
use futures::future::BoxFuture;
use inventory_api::{
    Inventory,
    testing::{context, receipt, receipt_at, sku},
};
use orders_api::{OrderState, OrderView, PricedLine, Resolution, refusals};
use payments_api::{
    AuthorisePayment, CapturePayment, PaymentAuthorisedReply, PaymentCapturedReply, PaymentUndone, Payments,
    RefundPayment, VoidPayment,
};
use tokio::{sync::Notify, time::Instant};

use super::{
    Asked, At, Fault, Faulty, LogFault, Modules, VirtualClock, Weather, Weathered, balance, books::story,
    created, placed,
};
use crate::{
    BACK_OFF_MAX, DriveConfig, Driver, Ports, Step, cancel,
    event::{Created, OrderEvent},
    log::OrderLog,
    memory::MemoryLog,
    resolve,
};

const QUANTITY: i64 = 2;

/// When something is to happen to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// At its n-th operation.
    Operation(usize),
    Asking(Step, bool),
    Answered(Step, bool),
}

type Hook = Box<dyn FnOnce() -> BoxFuture<'static, ()> + Send>;

/// What happens, by a script: each line of it once.
#[derive(Default)]
struct Script {
    faults: Mutex<BTreeMap<(Step, bool), VecDeque<Fault>>>,
    log_faults: Mutex<VecDeque<LogFault>>,
    hooks: Mutex<Vec<(When, Hook)>>,
    operations: AtomicUsize,
}

fn step_of(asked: &Asked) -> Step {
    Step::FORWARD.into_iter().find(|step| step.name() == asked.id.step).expect("a step")
}

impl Weather for Script {
    fn fault(&self, asked: &Asked) -> Fault {
        let mut faults = self.faults.lock().expect("no panic");
        let line = faults.get_mut(&(step_of(asked), asked.undo)).and_then(VecDeque::pop_front);
        line.unwrap_or(Fault::None)
    }

    fn log_fault(&self) -> LogFault {
        self.log_faults.lock().expect("no panic").pop_front().unwrap_or(LogFault::None)
    }

    fn step<'a>(&'a self, at: At<'a>) -> BoxFuture<'a, ()> {
        let n = self.operations.fetch_add(1, Ordering::SeqCst);
        let named = match at {
            At::Asking(asked) => Some(When::Asking(step_of(&asked[0]), asked[0].undo)),
            At::Answered(asked) => Some(When::Answered(step_of(&asked[0]), asked[0].undo)),
            At::Reading | At::Saving | At::Saved => None,
        };
        let is_due = |(when, _): &mut (When, Hook)| *when == When::Operation(n) || Some(*when) == named;
        let due: Vec<(When, Hook)> = self.hooks.lock().expect("no panic").extract_if(.., is_due).collect();
        Box::pin(async move {
            for (_, hook) in due {
                hook().await;
            }
        })
    }
}

/// One order on its stage.
#[derive(Clone)]
struct Scene {
    clock: Arc<VirtualClock>,
    log: Arc<MemoryLog>,
    modules: Arc<Modules>,
    script: Arc<Script>,
    died: Arc<Notify>,
    order: OrderId,
}

fn staff() -> Context {
    let actor = Actor { role: Role::Staff, id: "alice".to_owned() };
    Context { actor, trace: TraceParent::root(uuid::Uuid::from_u128(7)) }
}

/// Of goods that stand at two places: each story below is one of two parcels.
fn split(method: &str) -> Created {
    let mut created = created(method, QUANTITY);
    let (sku, quantity) = (sku("B"), 1.try_into().expect("a quantity"));
    created.lines.push(PricedLine { sku, quantity, ..created.lines[0] });
    created.total.minor += created.lines[0].unit_price.minor;
    created
}

impl Scene {
    /// In which every module does what it is asked for.
    async fn new() -> Self {
        Self::refusing(None).await
    }

    /// In which this step will be refused.
    async fn refusing(refused: Option<Step>) -> Self {
        let clock = Arc::new(VirtualClock::new(Instant::now(), 0));
        let modules = Arc::new(Modules::new(clock.clone()));
        let received = if refused == Some(Step::Reserve) { QUANTITY - 1 } else { QUANTITY };
        let receipts = vec![receipt("in", &[("A", received)]), receipt_at("elsewhere", "north", &[("B", 1)])];
        modules.inventory.receive(context(), receipts).await;
        let method = match refused {
            Some(Step::Authorise) => "pm_card_chargeDeclined",
            Some(Step::Capture) => "pm_sandbox_captureFails",
            _ => "pm_card_visa",
        };
        let log = Arc::new(MemoryLog::default());
        let (order, first) = placed("the order", split(method), clock.now());
        let scene =
            Self { clock, log, modules, script: Arc::default(), died: Arc::default(), order: order.id };
        scene.log.place((order, first));
        match refused {
            Some(Step::Book) => scene.modules.is_undeliverable(scene.order),
            Some(Step::Confirm) => scene.expires_before_confirm(),
            _ => {}
        }
        scene
    }

    fn expires_before_confirm(&self) {
        let clock = self.clock.clone();
        self.when(When::Asking(Step::Confirm, false), move || {
            clock.skew_micros.fetch_add(3_600_000_000, Ordering::SeqCst);
            Box::pin(std::future::ready(()))
        });
    }

    fn when(&self, when: When, hook: impl FnOnce() -> BoxFuture<'static, ()> + Send + 'static) {
        self.script.hooks.lock().expect("no panic").push((when, Box::new(hook)));
    }

    fn fault(&self, step: Step, undo: bool, faults: &[Fault]) {
        self.script.faults.lock().expect("no panic").entry((step, undo)).or_default().extend(faults);
    }

    fn driver_under(&self, weather: Arc<dyn Weather>) -> Driver<Weathered> {
        let log = Weathered { log: self.log.clone(), weather: weather.clone(), signal: Signal::default() };
        let ports = Faulty::ports(&self.modules, weather);
        Driver::new(Arc::new(log), ports, self.clock.clone(), DriveConfig::default())
    }

    fn driver(&self) -> Driver<Weathered> {
        self.driver_under(self.script.clone())
    }

    /// Another process, to which nothing happens.
    fn other_driver(&self) -> Driver<Weathered> {
        self.driver_under(Arc::<Script>::default())
    }

    async fn is_due(&self) -> bool {
        let slots: Vec<u16> = (0..banyan_kernel::SLOTS).collect();
        let due = self.log.due(&slots, self.clock.now(), &HashSet::new(), 1).await;
        !due.expect("memory answers").is_empty()
    }

    /// Lets processes come and go until the order ends or stops, and nobody is under way.
    async fn finish(&self) {
        self.finish_with(|| self.driver()).await;
    }

    async fn finish_with(&self, driver: impl Fn() -> Driver<Weathered>) {
        for _ in 0..60 {
            if self.is_due().await {
                tokio::select! {
                    biased;
                    () = self.died.notified() => {}
                    // A save that failed leaves the order due.
                    _ = async { driver().drive(&[self.order]).await } => {}
                }
            }
            let is_quiet = self.modules.late.load(Ordering::SeqCst) == 0;
            if is_quiet && self.row().due_at.is_none() {
                return;
            }
            tokio::time::sleep(BACK_OFF_MAX).await;
        }
        panic!("it never ends:\n{}", story(&self.row()));
    }

    fn row(&self) -> crate::memory::Row {
        self.log.all().pop().expect("the order")
    }

    async fn cancel(&self) -> Answer<OrderView> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        cancel::cancel(&*self.log, &clock, self.order, "changed my mind".to_owned(), &staff())
            .await
            .expect("memory")
    }

    async fn resolve(&self, how: Resolution) -> Answer<OrderView> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        let reason = "looked it up".to_owned();
        resolve::resolve(&*self.log, &clock, self.order, how, reason, &staff()).await.expect("memory")
    }

    /// Who dies at this moment.
    fn crash_at(&self, when: When) {
        let died = self.died.clone();
        self.when(when, move || {
            Box::pin(async move {
                died.notify_one();
                std::future::pending().await
            })
        });
    }

    fn undone(&self) -> Vec<Step> {
        let undone = |event: &crate::log::Recorded| match event.event {
            OrderEvent::StepUndone { step, .. } => Some(step),
            _ => None,
        };
        self.row().events.iter().filter_map(undone).collect()
    }

    /// It ended so, and everybody's books agree.
    async fn check(&self, case: &str, state: OrderState, cause: Option<&str>) {
        let row = self.row();
        let is = (row.order.public_state(), row.order.cause());
        assert_eq!(is, (state, cause), "{case}\n{}", story(&row));
        if let Err(why) = balance(&self.modules, &self.log.all()).await {
            panic!("{case}: {why}");
        }
    }
}

/// How each step is refused, as a code.
fn cause(step: Step) -> &'static str {
    match step {
        Step::Reserve => "out_of_stock",
        Step::Authorise | Step::Capture => "generic_decline",
        Step::Confirm => "reservation_expired",
        Step::Book => "undeliverable",
    }
}

/// What is undone when a step is refused: what was done before it, in reverse.
fn undone_by(refused: Step) -> Vec<Step> {
    let before: Vec<Step> = Step::FORWARD.into_iter().take_while(|step| *step != refused).collect();
    Step::BACKWARD.into_iter().filter(|step| before.contains(step)).collect()
}

#[tokio::test(start_paused = true)]
async fn an_order_is_shipped() {
    let scene = Scene::new().await;
    scene.finish().await;
    let row = scene.row();
    assert_eq!(row.events.len(), 7, "created, five steps, shipped");
    assert_eq!(row.events[0].payload["saga"], crate::saga::VERSION, "it finishes as it was placed");
    scene.check("nothing happens", OrderState::Shipped, None).await;
}

/// Two versions of the shop run side by side while one replaces the other.
#[tokio::test(start_paused = true)]
async fn an_order_of_a_newer_saga_is_left_to_those_who_know_it() {
    let scene = Scene::new().await;
    let newer = crate::event::Created { saga: crate::saga::VERSION + 1, ..created("pm_card_visa", QUANTITY) };
    let (order, first) = placed("of a newer shop", newer, scene.clock.now());
    scene.log.place((order.clone(), first));
    scene.driver().drive(&[order.id, scene.order]).await.expect("memory");
    let rows = scene.log.all();
    let row = |id: OrderId| rows.iter().find(|row| row.order.id == id).expect("a row");
    assert_eq!(row(order.id).order.version, 1, "nothing was asked or recorded");
    assert!(row(order.id).due_at.is_some_and(|due| due > scene.clock.now()), "it is looked at again later");
    assert_eq!(row(scene.order).order.public_state(), OrderState::Shipped, "the other goes on");
}

#[tokio::test(start_paused = true)]
async fn a_step_refused_is_undone_from_there() {
    for step in Step::FORWARD {
        let scene = Scene::refusing(Some(step)).await;
        scene.finish().await;
        assert_eq!(scene.undone(), undone_by(step), "{step:?} is refused");
        scene.check(&format!("{step:?} is refused"), OrderState::Cancelled, Some(cause(step))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_slow_or_away_or_asked_for_twice_is_done_once() {
    let (soon, much_later) = (Fault::Late(Duration::from_millis(50)), Fault::Late(Duration::from_secs(60)));
    let troubles: [&[Fault]; 7] = [
        &[Fault::Pending; 3],
        &[Fault::Unavailable; 12],
        &[Fault::Lost; 2],
        &[Fault::Twice],
        &[soon],
        &[much_later],
        &[much_later, Fault::Unavailable, Fault::Lost, Fault::Pending, Fault::Twice],
    ];
    for step in Step::FORWARD {
        for trouble in troubles {
            let (scene, case) = (Scene::new().await, format!("{step:?}: {trouble:?}"));
            scene.fault(step, false, trouble);
            scene.finish().await;
            let asked = trouble.iter().filter(|fault| **fault != Fault::Twice).count();
            let done = scene.row().events.into_iter().find_map(|event| match event.event {
                OrderEvent::StepDone { step: of, asked, attempt, .. } if of == step => Some((asked, attempt)),
                _ => None,
            });
            assert_eq!(done, Some((u32::try_from(asked).expect("few"), 1)), "{case}");
            scene.check(&case, OrderState::Shipped, None).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_after_trouble_is_the_same_refusal() {
    for step in Step::FORWARD {
        for trouble in [Fault::Pending, Fault::Lost, Fault::Twice, Fault::Late(Duration::from_secs(20))] {
            let (scene, case) = (Scene::refusing(Some(step)).await, format!("{step:?}: {trouble:?}"));
            scene.fault(step, false, &[trouble]);
            scene.finish().await;
            scene.check(&case, OrderState::Cancelled, Some(cause(step))).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_broken_step_waits_for_somebody_who_looks() {
    for step in Step::FORWARD {
        for fault in [Fault::Broken, Fault::BrokenThoughDone] {
            for (how, state) in
                [(Resolution::Retry, OrderState::Shipped), (Resolution::Cancel, OrderState::Cancelled)]
            {
                let (scene, case) = (Scene::new().await, format!("{step:?}: {fault:?}, {how:?}"));
                scene.fault(step, false, &[fault]);
                scene.finish().await;
                assert_eq!(scene.row().order.public_state(), OrderState::Stuck, "{case}");
                assert!(!scene.is_due().await, "{case}");
                assert!(matches!(scene.resolve(how).await, Answer::Done(_)), "{case}");
                let resolved = scene.row().events.pop().expect("an event");
                assert_eq!(resolved.payload["actor"], "staff:alice");
                assert_eq!(resolved.payload["reason"], "looked it up");
                let attempt = if how == Resolution::Retry { 2 } else { 1 };
                assert_eq!(scene.row().order.attempt(step), attempt, "{case}");
                scene.finish().await;
                scene.check(&case, state, (how == Resolution::Cancel).then_some("cancelled")).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_stuck_order_that_is_cancelled_waits_for_somebody_all_the_same() {
    for step in Step::FORWARD {
        for fault in [Fault::Broken, Fault::BrokenThoughDone] {
            for how in [Resolution::Retry, Resolution::Cancel] {
                let (scene, case) = (Scene::new().await, format!("{step:?}: {fault:?}, {how:?}"));
                scene.fault(step, false, &[fault]);
                scene.finish().await;
                assert!(matches!(scene.cancel().await, Answer::Done(_)));
                scene.finish().await;
                assert_eq!(scene.row().order.public_state(), OrderState::Stuck, "{case}");
                assert!(matches!(scene.resolve(how).await, Answer::Done(_)));
                scene.finish().await;
                scene.check(&case, OrderState::Cancelled, Some("cancelled")).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_a_stuck_order_is_resolved() {
    let scene = Scene::new().await;
    let refused = |answer| matches!(answer, Answer::Rejected(refusal) if refusal.code == refusals::NOT_STUCK);
    assert!(refused(scene.resolve(Resolution::Retry).await));
    scene.finish().await;
    assert!(refused(scene.resolve(Resolution::Cancel).await));
}

/// Cancelled when the money has just been taken, so that all four are undone.
async fn cancelled_when_captured() -> Scene {
    let scene = Scene::new().await;
    let by = scene.clone();
    scene.when(When::Answered(Step::Capture, false), move || {
        Box::pin(async move { assert!(matches!(by.cancel().await, Answer::Done(_))) })
    });
    scene
}

#[tokio::test(start_paused = true)]
async fn a_cancel_after_the_capture_is_a_refund() {
    let scene = cancelled_when_captured().await;
    scene.finish().await;
    assert_eq!(scene.undone(), Step::BACKWARD);
    assert_eq!(scene.modules.payments.book(scene.order), ["authorised", "captured", "refunded"]);
    scene.check("refunded", OrderState::Cancelled, Some("cancelled")).await;
}

#[tokio::test(start_paused = true)]
async fn an_undo_in_trouble_is_done_once_in_its_turn() {
    let late = Fault::Late(Duration::from_secs(20));
    for step in Step::BACKWARD {
        for fault in [Fault::Pending, Fault::Unavailable, Fault::Lost, Fault::Twice, late] {
            let (scene, case) = (cancelled_when_captured().await, format!("undo {step:?}: {fault:?}"));
            scene.fault(step, true, &[fault, fault]);
            scene.finish().await;
            assert_eq!(scene.undone(), Step::BACKWARD, "{case}");
            scene.check(&case, OrderState::Cancelled, Some("cancelled")).await;
        }
        for fault in [Fault::Broken, Fault::BrokenThoughDone] {
            for how in [Resolution::Retry, Resolution::Cancel] {
                let (scene, case) =
                    (cancelled_when_captured().await, format!("undo {step:?}: {fault:?}, {how:?}"));
                scene.fault(step, true, &[fault]);
                scene.finish().await;
                assert_eq!(scene.row().order.public_state(), OrderState::Stuck, "{case}");
                assert!(matches!(scene.resolve(how).await, Answer::Done(_)));
                scene.finish().await;
                scene.check(&case, OrderState::Cancelled, Some("cancelled")).await;
            }
        }
    }
}

/// The ways an order can go, each with its end.
async fn ways() -> Vec<(String, OrderState, Option<&'static str>)> {
    let refused = Step::FORWARD.map(|step| (format!("{step:?}"), OrderState::Cancelled, Some(cause(step))));
    let mut ways = vec![("forward".to_owned(), OrderState::Shipped, None)];
    ways.extend(refused);
    ways.push(("back".to_owned(), OrderState::Cancelled, Some("cancelled")));
    ways
}

async fn scene_of(way: &str) -> Scene {
    match way {
        "forward" => Scene::new().await,
        "back" => cancelled_when_captured().await,
        step => Scene::refusing(Step::FORWARD.into_iter().find(|of| format!("{of:?}") == step)).await,
    }
}

async fn operations_of(way: &str) -> usize {
    let scene = scene_of(way).await;
    scene.finish().await;
    scene.script.operations.load(Ordering::SeqCst)
}

/// Before and after each call and each commit, on the way forth and back.
#[tokio::test(start_paused = true)]
async fn a_process_may_die_anywhere() {
    let mut deaths = 0;
    for (way, state, cause) in ways().await {
        for n in 0..operations_of(&way).await {
            let scene = scene_of(&way).await;
            scene.crash_at(When::Operation(n));
            scene.finish().await;
            assert!(scene.script.hooks.lock().expect("no panic").is_empty(), "{way}, dead at {n}");
            scene.check(&format!("{way}, dead at {n}"), state, cause).await;
            deaths += 1;
        }
    }
    assert!(deaths > 100, "only {deaths} deaths");
}

#[tokio::test(start_paused = true)]
async fn a_commit_may_fail_or_its_answer_be_lost() {
    for (way, state, cause) in ways().await {
        for fault in [LogFault::BeforeCommit, LogFault::AfterCommit] {
            for n in 0..6 {
                let scene = scene_of(&way).await;
                let faults = (0..n).map(|_| LogFault::None).chain([fault]);
                scene.script.log_faults.lock().expect("no panic").extend(faults);
                scene.finish().await;
                scene.check(&format!("{way}, {fault:?} at save {n}"), state, cause).await;
            }
        }
    }
}

/// Before, during and after each call and each commit: a wish that is recorded, or carried out at once by
/// another process while this one is still on its way (an undo before its do, a do after its undo).
#[tokio::test(start_paused = true)]
async fn a_cancel_may_come_anywhere() {
    let (mut cancelled, mut too_late) = (0, 0);
    for way in ["forward", "Authorise", "Book", "Capture"] {
        for n in 0..operations_of(way).await {
            for is_carried_out in [false, true] {
                let (scene, case) =
                    (scene_of(way).await, format!("{way}, cancelled at {n}, {is_carried_out}"));
                let (by, answer) = (scene.clone(), Arc::new(Mutex::new(None)));
                let answered = answer.clone();
                scene.when(When::Operation(n), move || {
                    Box::pin(async move {
                        let said = by.cancel().await;
                        *answered.lock().expect("no panic") = Some(said);
                        if is_carried_out {
                            by.finish_with(|| by.other_driver()).await;
                        }
                    })
                });
                scene.finish().await;
                let answer = answer.lock().expect("no panic").take().expect("asked");
                match answer {
                    Answer::Done(_) => {
                        cancelled += 1;
                        let cause = scene.row().order.cause().map(str::to_owned);
                        scene.check(&case, OrderState::Cancelled, cause.as_deref()).await;
                    }
                    Answer::Rejected(refusal) if refusal.code == refusals::ALREADY_SHIPPED => {
                        too_late += 1;
                        scene.check(&case, OrderState::Shipped, None).await;
                    }
                    other => panic!("{case}: {other:?}"),
                }
            }
        }
    }
    assert!(cancelled > 40 && too_late > 0, "{cancelled} cancelled, {too_late} too late");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_that_comes_first_leaves_a_tombstone_for_each_step() {
    let scene = Scene::new().await;
    assert!(matches!(scene.cancel().await, Answer::Done(view) if view.state == OrderState::Cancelling));
    scene.finish().await;
    assert_eq!(scene.undone(), [Step::Book, Step::Authorise, Step::Reserve]);
    let order = scene.row().order;
    let calm: Arc<dyn Weather> = Arc::<Script>::default();
    let Ports { inventory, payments, .. } = Faulty::ports(&scene.modules, calm);
    let id = |step: Step| CommandId::new(order.id, step.name(), 1);
    let reserve = inventory_api::testing::reserve(order.id, 1, &[("A", QUANTITY)], scene.clock.now());
    let reserved = inventory.reserve(vec![Command { id: id(Step::Reserve), ..reserve }]).await;
    assert!(matches!(&reserved[..], [Answer::Rejected(refusal)] if refusal.code == "cancelled"));
    let authorised =
        payments.authorise(vec![payments_api::testing::authorise(order.id, 1, "pm_card_visa")]).await;
    assert!(matches!(&authorised[..], [Answer::Rejected(refusal)] if refusal.code == "cancelled"));
    scene.modules.amounts.lock().expect("no panic").clear();
    scene.check("cancelled first", OrderState::Cancelled, Some("cancelled")).await;
}

/// The asker gave up, the order was cancelled and undone; then the do arrives.
#[tokio::test(start_paused = true)]
async fn a_do_that_arrives_after_its_undo_does_nothing() {
    for step in Step::FORWARD {
        let (scene, case) = (Scene::new().await, format!("{step:?} arrives late"));
        scene.fault(step, false, &[Fault::Late(Duration::from_secs(60))]);
        scene.driver().drive(&[scene.order]).await.expect("memory");
        assert!(matches!(scene.cancel().await, Answer::Done(_)), "{case}");
        scene.driver().drive(&[scene.order]).await.expect("memory");
        assert_eq!(scene.row().order.public_state(), OrderState::Cancelled, "{case}");
        assert_eq!(scene.modules.late.load(Ordering::SeqCst), 1, "{case}");
        scene.finish().await;
        scene.check(&case, OrderState::Cancelled, Some("cancelled")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_handed_over_cannot_be_cancelled() {
    let scene = Scene::new().await;
    scene.finish().await;
    let refused = scene.cancel().await;
    assert!(matches!(refused, Answer::Rejected(refusal) if refusal.code == refusals::ALREADY_SHIPPED));
    scene.check("too late", OrderState::Shipped, None).await;
}

#[tokio::test(start_paused = true)]
async fn a_second_cancel_is_the_first() {
    let scene = Scene::new().await;
    let views = [scene.cancel().await, scene.cancel().await];
    assert_eq!(views[0], views[1]);
    assert_eq!(scene.row().events.len(), 2, "one wish");
    scene.finish().await;
    assert!(matches!(scene.cancel().await, Answer::Done(view) if view.state == OrderState::Cancelled));
    scene.check("twice", OrderState::Cancelled, Some("cancelled")).await;
}

#[tokio::test(start_paused = true)]
async fn the_back_off_grows_and_is_capped() {
    let scene = Scene::new().await;
    scene.fault(Step::Authorise, false, &[Fault::Unavailable; 40]);
    let mut longest = Duration::ZERO;
    for asked in 1..=40_u32 {
        scene.driver().drive(&[scene.order]).await.expect("memory");
        let row = scene.row();
        let wait = (row.due_at.expect("due") - scene.clock.now()).unsigned_abs();
        let full = DriveConfig::default().back_off.saturating_mul(1 << asked.min(10)).min(BACK_OFF_MAX);
        assert!(wait >= full / 4 && wait <= full, "asked {asked} times, waits {wait:?} of {full:?}");
        assert_eq!((row.asked, row.waiting.as_deref()), (asked, Some("away")));
        longest = longest.max(wait);
        tokio::time::sleep(wait).await;
    }
    assert!(longest > BACK_OFF_MAX / 2, "{longest:?}");
    scene.finish().await;
    scene.check("away for long", OrderState::Shipped, None).await;
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_wrong_does_not_put_an_order_to_sleep() {
    let scene = Scene::new().await;
    scene.fault(Step::Book, false, &[Fault::Unavailable]);
    scene.clock.skew_micros.store(86_400_000_000, Ordering::SeqCst);
    scene.driver().drive(&[scene.order]).await.expect("memory");
    assert!(!scene.is_due().await, "it backs off");
    scene.clock.skew_micros.store(0, Ordering::SeqCst);
    assert!(scene.is_due().await, "a day ahead is further than any back-off");
    scene.finish().await;
    scene.check("a day ahead", OrderState::Shipped, None).await;
}

/// A module that answers for fewer items than it was asked.
struct Mute;

#[async_trait]
impl Payments for Mute {
    async fn authorise(&self, _: Vec<Command<AuthorisePayment>>) -> Vec<Answer<PaymentAuthorisedReply>> {
        Vec::new()
    }
    async fn capture(&self, _: Vec<Command<CapturePayment>>) -> Vec<Answer<PaymentCapturedReply>> {
        Vec::new()
    }
    async fn void(&self, _: Vec<Command<VoidPayment>>) -> Vec<Answer<PaymentUndone>> {
        Vec::new()
    }
    async fn refund(&self, _: Vec<Command<RefundPayment>>) -> Vec<Answer<PaymentUndone>> {
        Vec::new()
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_waited_out_not_asked_again_at_once() {
    let scene = Scene::new().await;
    let calm: Arc<dyn Weather> = Arc::<Script>::default();
    let ports = Ports { payments: Arc::new(Mute), ..Faulty::ports(&scene.modules, calm) };
    let driver = Driver::new(scene.log.clone(), ports, scene.clock.clone(), DriveConfig::default());
    let pass = async { driver.drive(&[scene.order]).await };
    let pass = tokio::time::timeout(Duration::from_secs(60), pass).await;
    pass.expect("a pass ends").expect("memory");
    assert_eq!(scene.row().waiting.as_deref(), Some("no answer"));
    assert!(!scene.is_due().await);
}
