//! What is stored can be read for ever.

use banyan_kernel::{ManualClock, Role};

use super::*;
use crate::stage::{created, order};

fn actor() -> Actor {
    Actor { role: Role::Staff, id: "alice".to_owned() }
}

/// One of each, with and without what may be absent.
fn one_of_each() -> Vec<OrderEvent> {
    let (step, attempt) = (Step::Authorise, 2);
    let code = || "card_declined".to_owned();
    let why = || "nobody can tell".to_owned();
    vec![
        OrderEvent::OrderCreated(created("pm_card_visa", 2)),
        OrderEvent::StepDone { step: Step::Reserve, attempt: 1, asked: 0, asked_again: false, result: None },
        OrderEvent::StepDone { step, attempt, asked: 3, asked_again: true, result: Some("pi_1".to_owned()) },
        OrderEvent::StepRefused { step, attempt, code: code(), detail: "Your card was declined.".to_owned() },
        OrderEvent::CancelRequested { reason: "changed my mind".to_owned() },
        OrderEvent::StepUndone { step: Step::Confirm, attempt },
        OrderEvent::StepBroken { step: Step::Book, attempt, undo: true, why: why() },
        OrderEvent::StepBroken { step: Step::Capture, attempt, undo: false, why: why() },
        OrderEvent::OrderResolved { how: Resolution::Retry, reason: why() },
        OrderEvent::OrderResolved { how: Resolution::Cancel, reason: why() },
        OrderEvent::OrderShipped {},
        OrderEvent::OrderCancelled { cause: code() },
    ]
}

#[test]
fn stored_names_and_fields_never_change() {
    let stored = |event: OrderEvent| {
        let (kind, payload) = event.stored(&actor());
        format!("{kind} v{SCHEMA_VERSION} {payload}")
    };
    insta::assert_snapshot!(one_of_each().into_iter().map(stored).collect::<Vec<_>>().join("\n"));
}

#[test]
fn what_others_hear_never_changes() {
    let id = banyan_kernel::OrderId::derive("test", "public");
    let public = one_of_each().into_iter().filter_map(|event| {
        assert_eq!(event.is_public(), event.public(id).is_some(), "{event:?}");
        event.public(id).map(|(kind, data)| format!("{kind} {data}"))
    });
    insta::assert_snapshot!(public.collect::<Vec<_>>().join("\n"));
}

#[test]
fn what_is_stored_is_read_back() {
    for event in one_of_each() {
        let (kind, payload) = event.stored(&actor());
        assert_eq!(payload["actor"], "staff:alice");
        assert_eq!(OrderEvent::restore(&kind, SCHEMA_VERSION, payload).unwrap(), event);
    }
}

#[test]
fn an_unknown_version_type_or_payload_is_refused_not_guessed() {
    let (kind, payload) = OrderEvent::OrderShipped {}.stored(&actor());
    for version in [0, SCHEMA_VERSION + 1, u16::MAX] {
        assert!(OrderEvent::restore(&kind, version, payload.clone()).is_err(), "version {version}");
    }
    assert!(OrderEvent::restore("OrderVanished", SCHEMA_VERSION, payload.clone()).is_err());
    assert!(OrderEvent::restore("StepDone", SCHEMA_VERSION, payload).is_err());
}

#[test]
fn a_recorded_order_is_the_fold_of_what_was_recorded() {
    let now = || banyan_kernel::Clock::now(&ManualClock::at_micros(1_750_000_000_000_000));
    let log = crate::memory::MemoryLog::default();
    let (mut order, first) = order("all of them", now());
    let mut row = {
        log.place((order.clone(), first));
        log.all().pop().unwrap()
    };
    assert_eq!(row.refold().unwrap(), order);
    for event in one_of_each().into_iter().skip(1) {
        row.events.push(order.record(event, now(), &actor()));
        assert_eq!(row.refold().unwrap(), order);
    }
    assert_eq!(order.told, 3, "created, shipped, cancelled");
    assert_eq!(row.events.iter().filter_map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3]);
    row.events[4].payload["step"] = "book".into();
    assert_eq!(row.refold(), Err("event 5 was changed".to_owned()));
    row.events.remove(2);
    assert_eq!(row.refold(), Err("event 3 is missing".to_owned()));
}
