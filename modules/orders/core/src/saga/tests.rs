//! Every state that the saga can reach, by everything that can happen in each.

use std::collections::{BTreeSet, VecDeque};

use banyan_kernel::{Actor, Places, Timestamp};
use orders_api::{OrderState, Resolution};

use super::*;
use crate::stage::order;

/// Retries grow attempts without end; two show all there is.
const ATTEMPTS_MAX: u32 = 2;

/// A state, and whether it got where the pivot may be under way.
#[derive(Clone)]
struct State {
    order: Order,
    was_asked: BTreeSet<Step>,
}

type Key = ([(u8, u32); 5], Option<bool>, Option<(Step, bool)>, bool, BTreeSet<Step>);

impl State {
    fn key(&self) -> Key {
        let order = &self.order;
        let step = |step| (order.state(step) as u8, order.attempt(step));
        let broken = order.broken.as_ref().map(|broken| (broken.step, broken.undo));
        let turned = order.turned_back.as_ref().map(|turned| turned.by_request);
        (Step::FORWARD.map(step), turned, broken, order.ended.is_some(), self.was_asked.clone())
    }

    fn after(&self, event: OrderEvent) -> Self {
        let mut next = self.clone();
        next.order.record(event, Timestamp::UNIX_EPOCH, &Actor::system("test"));
        next
    }

    /// All that may be recorded next: by the driver, by a customer, by a person who looks.
    fn successors(&self) -> Vec<Self> {
        let mut all = self.by_driver();
        if self.order.ended.is_none() && self.order.turned_back.is_none() {
            all.push(self.after(OrderEvent::CancelRequested { reason: String::new() }));
            // The driver runs ahead of the record, up to the pivot: a cancel may find it anywhere.
            let ahead = Step::FORWARD.into_iter().filter(|step| *step != Step::Capture);
            let mut cancelled = self.after(OrderEvent::CancelRequested { reason: String::new() });
            cancelled.was_asked.extend(ahead);
            all.push(cancelled);
        }
        if self.order.broken.is_some() {
            for how in [Resolution::Retry, Resolution::Cancel] {
                all.push(self.after(OrderEvent::OrderResolved { how, reason: String::new() }));
            }
        }
        all.retain(|state| Step::FORWARD.iter().all(|step| state.order.attempt(*step) <= ATTEMPTS_MAX));
        all
    }

    fn by_driver(&self) -> Vec<Self> {
        let attempt = |step| self.order.attempt(step);
        let broken =
            |step, undo| OrderEvent::StepBroken { step, attempt: attempt(step), undo, why: String::new() };
        match next(&self.order) {
            Next::Nothing => Vec::new(),
            Next::Record(event) => vec![self.after(event)],
            Next::Undo(step) => {
                let undone = OrderEvent::StepUndone { step, attempt: attempt(step) };
                vec![self.after(undone), self.after(broken(step, true))]
            }
            Next::Do(step) => {
                let mut asked = self.clone();
                asked.was_asked.insert(step);
                let (attempt, text) = (attempt(step), String::new);
                let refused = OrderEvent::StepRefused { step, attempt, code: text(), detail: text() };
                [done(step, attempt), refused, broken(step, false)].map(|event| asked.after(event)).into()
            }
        }
    }
}

/// Done at the first asking, with nothing to tell of it.
fn done(step: Step, attempt: u32) -> OrderEvent {
    OrderEvent::StepDone {
        step,
        attempt,
        asked: 0,
        asked_again: false,
        result: None,
        places: Places::default(),
        further: Vec::new(),
    }
}

/// What must be true of a state and of what it needs next.
fn check(state: &State) {
    let (order, next) = (&state.order, next(&state.order));
    let done = |step: &Step| order.state(*step) == StepState::Done;
    match &next {
        Next::Do(step) => {
            assert_eq!(order.turned_back, None, "nothing is done on the way back");
            let before = Step::FORWARD.iter().take_while(|other| *other != step);
            assert!(before.clone().all(done), "{step:?} before one that comes earlier");
            assert!(!done(step));
        }
        Next::Undo(step) => {
            assert!(order.turned_back.is_some());
            assert_ne!(*step, Step::Confirm, "it is undone with its reservation");
            let later = Step::BACKWARD.iter().take_while(|other| *other != step);
            assert!(!later.clone().any(done), "{step:?} before one that was done later");
            assert!(!matches!(order.state(*step), StepState::Refused | StepState::Undone), "{step:?} again");
        }
        Next::Record(OrderEvent::OrderShipped { .. }) => assert!(Step::FORWARD.iter().all(done)),
        Next::Record(OrderEvent::OrderCancelled { .. }) => owes_nothing(state),
        Next::Record(other) => panic!("{other:?} is nothing to end with"),
        Next::Nothing => assert!(order.ended.is_some() || order.broken.is_some()),
    }
    if order.ended.is_some() || order.broken.is_some() {
        assert_eq!(next, Next::Nothing, "nothing comes after an end, or before a person looked");
    }
    if order.ended.is_some() && order.turned_back.is_none() {
        assert_eq!(order.public_state(), OrderState::Shipped);
    }
}

/// What was done, or asked for without an answer, is undone; what was refused is left alone.
fn owes_nothing(state: &State) {
    for step in Step::BACKWARD {
        let is = state.order.state(step);
        assert_ne!(is, StepState::Done, "{step:?} is left");
        if state.was_asked.contains(&step) {
            assert_ne!(is, StepState::Untouched, "{step:?} may have been done");
        }
    }
}

#[test]
fn every_state_that_can_be_reached_needs_the_right_thing_next() {
    let placed = order("explored", Timestamp::UNIX_EPOCH).0;
    let mut open = VecDeque::from([State { order: placed, was_asked: BTreeSet::new() }]);
    let (mut seen, mut ends) = (BTreeSet::new(), BTreeSet::new());
    while let Some(state) = open.pop_front() {
        if !seen.insert(state.key()) {
            continue;
        }
        check(&state);
        if state.order.ended.is_some() {
            ends.insert(state.order.public_state().as_str());
        }
        open.extend(state.successors());
    }
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), ["cancelled", "shipped"]);
    assert!(seen.len() > 300, "only {} states", seen.len());
    println!("{} states", seen.len());
}

#[test]
fn an_order_goes_forward_step_by_step_and_back_in_reverse() {
    let mut forward = order("forward", Timestamp::UNIX_EPOCH).0;
    let mut asked = Vec::new();
    while let Next::Do(step) = next(&forward) {
        asked.push(step);
        forward.record(done(step, 1), Timestamp::UNIX_EPOCH, &Actor::system("test"));
    }
    assert_eq!(asked, Step::FORWARD);
    assert_eq!(forward.public_state(), OrderState::Paid);
    let wish = OrderEvent::CancelRequested { reason: String::new() };
    forward.record(wish, Timestamp::UNIX_EPOCH, &Actor::system("test"));
    let mut undone = Vec::new();
    while let Next::Undo(step) = next(&forward) {
        undone.push(step);
        let event = OrderEvent::StepUndone { step, attempt: 1 };
        forward.record(event, Timestamp::UNIX_EPOCH, &Actor::system("test"));
    }
    assert_eq!(undone, [Step::Capture, Step::Book, Step::Authorise, Step::Reserve]);
    assert_eq!(next(&forward), Next::Record(OrderEvent::OrderCancelled { cause: "cancelled".to_owned() }));
}

#[test]
fn a_wish_to_cancel_undoes_what_may_be_under_way_and_a_refusal_only_what_was_done() {
    let undone_after = |events: Vec<OrderEvent>| {
        let mut order = order("undo set", Timestamp::UNIX_EPOCH).0;
        for event in events {
            order.record(event, Timestamp::UNIX_EPOCH, &Actor::system("test"));
        }
        let mut undone = Vec::new();
        while let Next::Undo(step) = next(&order) {
            undone.push(step);
            let event = OrderEvent::StepUndone { step, attempt: 1 };
            order.record(event, Timestamp::UNIX_EPOCH, &Actor::system("test"));
        }
        undone
    };
    let done = |step| done(step, 1);
    let wish = || OrderEvent::CancelRequested { reason: String::new() };
    let refused =
        |step| OrderEvent::StepRefused { step, attempt: 1, code: String::new(), detail: String::new() };
    let before_pivot = [Step::Book, Step::Authorise, Step::Reserve];
    assert_eq!(undone_after(vec![wish()]), before_pivot);
    assert_eq!(undone_after(vec![done(Step::Reserve), wish()]), before_pivot);
    let ahead = [Step::Reserve, Step::Authorise, Step::Confirm, Step::Book].map(done);
    assert_eq!(undone_after([&ahead[..], &[wish()]].concat()), Step::BACKWARD);
    assert_eq!(undone_after(vec![refused(Step::Reserve)]), []);
    assert_eq!(undone_after(vec![done(Step::Reserve), refused(Step::Authorise)]), [Step::Reserve]);
    let captured_not = [&ahead[..], &[refused(Step::Capture)]].concat();
    assert_eq!(undone_after(captured_not), before_pivot);
}
