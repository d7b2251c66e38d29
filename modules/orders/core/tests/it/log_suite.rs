//! What every store of orders does, in memory or in PostgreSQL.

use std::{collections::HashSet, time::Duration};

use async_trait::async_trait;
use banyan_kernel::{Actor, OrderId, Places, SLOTS, Timestamp, slot_of};
use orders_core::{
    BACK_OFF_MAX, OrderEvent, Step,
    log::{Kept, Loaded, OrderLog, Save},
};

/// A store of orders, and a way to place one.
#[async_trait]
pub trait LogUnderTest: Send + Sync {
    /// The store.
    fn log(&self) -> &dyn OrderLog;
    /// By the clock that orders are placed by; it stands but for an instant after each of them.
    fn now(&self) -> Timestamp;
    /// A new order, due at once.
    async fn place(&self, name: &str) -> OrderId;
}

/// Holds a store to the rules.
///
/// # Panics
/// At the first that is broken.
pub async fn conformance(on: &dyn LogUnderTest) {
    a_new_order_is_due_in_its_slot_alone(on).await;
    what_is_saved_is_loaded(on).await;
    who_meets_a_newer_version_keeps_nothing(on).await;
    of_two_at_once_one_is_kept(on).await;
    the_due_time_moves_without_an_event(on).await;
    a_due_time_beyond_the_largest_back_off_is_due_now(on).await;
    the_oldest_come_first_and_no_more_than_asked(on).await;
    what_ended_is_never_due(on).await;
    an_order_put_off_waits_and_says_why(on).await;
    what_is_not_there_is_left_out(on).await;
}

/// All slots.
pub fn slots() -> Vec<u16> {
    (0..SLOTS).collect()
}

async fn is_due(on: &dyn LogUnderTest, order: OrderId, now: Timestamp) -> bool {
    on.log().due(&slots(), now, &HashSet::new(), 1_000).await.expect("due").contains(&order)
}

/// One order.
pub async fn load(log: &dyn OrderLog, order: OrderId) -> Loaded {
    log.load(&[order]).await.expect("loaded").pop().expect("an order")
}

/// One more event.
pub fn with(loaded: &Loaded, event: OrderEvent, now: Timestamp) -> Save {
    let mut order = loaded.order.clone();
    let events = vec![order.record(event, now, &Actor::system("test"))];
    Save { order, expected: loaded.order.version, events, due_at: Some(now), asked: 0, waiting: None }
}

/// That a step was done.
pub fn done(step: Step) -> OrderEvent {
    OrderEvent::StepDone {
        step,
        attempt: 1,
        asked: 0,
        asked_again: false,
        result: Some("it".to_owned()),
        places: Places::default(),
        further: Vec::new(),
    }
}

async fn a_new_order_is_due_in_its_slot_alone(on: &dyn LogUnderTest) {
    let order = on.place("due").await;
    let slot = slot_of(&order.to_string());
    for of in slots() {
        let due = on.log().due(&[of], on.now(), &HashSet::new(), 1_000).await.expect("due");
        assert_eq!(due.contains(&order), of == slot, "slot {of}");
    }
    let except = HashSet::from([order]);
    assert!(!on.log().due(&slots(), on.now(), &except, 1_000).await.expect("due").contains(&order));
}

async fn what_is_saved_is_loaded(on: &dyn LogUnderTest) {
    let id = on.place("saved").await;
    let mut save = with(&load(on.log(), id).await, done(Step::Reserve), on.now());
    let second = save.order.record(done(Step::Book), on.now(), &Actor::system("test"));
    save.events.push(second);
    (save.asked, save.waiting) = (3, Some("the bank".to_owned()));
    assert_eq!(on.log().save(&[save.clone()]).await.expect("saved"), [Kept::Kept]);
    let loaded = load(on.log(), id).await;
    assert_eq!(loaded.order, save.order);
    assert_eq!((loaded.asked, loaded.waiting), (3, Some("the bank".to_owned())));
    assert_eq!(loaded.order.tracking, ["it"]);
}

async fn who_meets_a_newer_version_keeps_nothing(on: &dyn LogUnderTest) {
    let (outrun, other) = (on.place("outrun").await, on.place("other").await);
    let stale = load(on.log(), outrun).await;
    let first = with(&stale, done(Step::Reserve), on.now());
    assert_eq!(on.log().save(std::slice::from_ref(&first)).await.expect("saved"), [Kept::Kept]);
    let late = with(&stale, OrderEvent::CancelRequested { reason: "late".to_owned() }, on.now());
    let fits = with(&load(on.log(), other).await, done(Step::Reserve), on.now());
    let kept = on.log().save(&[late, fits.clone()]).await.expect("saved");
    assert_eq!(kept, [Kept::Outrun, Kept::Kept]);
    assert_eq!(load(on.log(), outrun).await.order, first.order);
    assert_eq!(load(on.log(), other).await.order, fits.order);
}

async fn of_two_at_once_one_is_kept(on: &dyn LogUnderTest) {
    let id = on.place("two at once").await;
    let loaded = load(on.log(), id).await;
    let save = |step| [with(&loaded, done(step), on.now())];
    let (one, other) = (save(Step::Reserve), save(Step::Authorise));
    let (first, second) = tokio::join!(on.log().save(&one), on.log().save(&other));
    let kept = [first.expect("saved"), second.expect("saved")].concat();
    assert_eq!(kept.iter().filter(|kept| **kept == Kept::Kept).count(), 1, "{kept:?}");
    assert_eq!(load(on.log(), id).await.order.version, 2);
}

async fn the_due_time_moves_without_an_event(on: &dyn LogUnderTest) {
    let id = on.place("moved").await;
    let loaded = load(on.log(), id).await;
    let (later, version) = (on.now() + Duration::from_secs(1), loaded.order.version);
    let mut save = with(&loaded, done(Step::Reserve), on.now());
    save = Save { order: loaded.order, events: Vec::new(), due_at: Some(later), asked: 1, ..save };
    assert_eq!(on.log().save(&[save.clone()]).await.expect("saved"), [Kept::Kept]);
    assert!(!is_due(on, id, on.now()).await);
    assert!(is_due(on, id, later).await);
    assert_eq!(load(on.log(), id).await.order.version, version);
    save.due_at = None;
    assert_eq!(on.log().save(&[save]).await.expect("saved"), [Kept::Kept]);
    assert!(!is_due(on, id, later).await, "a stopped order is not due by itself");
}

async fn a_due_time_beyond_the_largest_back_off_is_due_now(on: &dyn LogUnderTest) {
    let id = on.place("clock jumped").await;
    let mut save = with(&load(on.log(), id).await, done(Step::Reserve), on.now());
    save.due_at = Some(on.now() + Duration::from_secs(365 * 24 * 3_600));
    assert_eq!(on.log().save(&[save.clone()]).await.expect("saved"), [Kept::Kept]);
    assert!(is_due(on, id, on.now()).await);
    save = Save { expected: 2, events: Vec::new(), due_at: Some(on.now() + BACK_OFF_MAX), ..save };
    assert_eq!(on.log().save(&[save]).await.expect("saved"), [Kept::Kept]);
    assert!(!is_due(on, id, on.now()).await, "the largest back-off itself is waited for");
}

async fn the_oldest_come_first_and_no_more_than_asked(on: &dyn LogUnderTest) {
    let mut oldest = Vec::new();
    for (name, hours) in [("first", 1), ("second", 2), ("third", 3)] {
        let id = on.place(name).await;
        let mut save = with(&load(on.log(), id).await, done(Step::Reserve), on.now());
        // However long it is due.
        save.due_at = Some(on.now() - Duration::from_secs(hours * 3_600));
        assert_eq!(on.log().save(&[save]).await.expect("saved"), [Kept::Kept]);
        oldest.push(id);
    }
    let due = async |limit| on.log().due(&slots(), on.now(), &HashSet::new(), limit).await.expect("due");
    let all = due(1_000).await;
    let these: Vec<_> = all.iter().copied().filter(|id| oldest.contains(id)).collect();
    assert_eq!(these, oldest);
    for limit in [1, 2, 3] {
        assert_eq!(due(limit).await, all[..usize::from(limit)]);
    }
}

async fn what_ended_is_never_due(on: &dyn LogUnderTest) {
    let id = on.place("ended").await;
    let save = with(&load(on.log(), id).await, OrderEvent::OrderShipped { tracking: Vec::new() }, on.now());
    assert_eq!(on.log().save(&[save]).await.expect("saved"), [Kept::Kept]);
    assert!(!is_due(on, id, on.now()).await);
    on.log().put_off(&[id], on.now(), "should not be").await.expect("put off");
    assert_eq!(load(on.log(), id).await.waiting, None);
}

async fn an_order_put_off_waits_and_says_why(on: &dyn LogUnderTest) {
    let id = on.place("put off").await;
    let before = load(on.log(), id).await;
    on.log().put_off(&[id], on.now() + BACK_OFF_MAX, "unreadable").await.expect("put off");
    let after = load(on.log(), id).await;
    assert_eq!(after.order, before.order);
    assert_eq!((after.asked, after.waiting.as_deref()), (1, Some("unreadable")));
    assert!(!is_due(on, id, on.now()).await);
}

async fn what_is_not_there_is_left_out(on: &dyn LogUnderTest) {
    let nobody = OrderId::derive("nobody", "nothing");
    assert!(on.log().load(&[nobody]).await.expect("loaded").is_empty());
    let id = on.place("somebody").await;
    let mut save = with(&load(on.log(), id).await, done(Step::Reserve), on.now());
    save.order.id = nobody;
    assert_eq!(on.log().save(&[save]).await.expect("saved"), [Kept::Outrun]);
}
