//! What is stored can be read for ever.

use banyan_kernel::{ManualClock, Places, Role};

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
        OrderEvent::StepDone {
            step: Step::Reserve,
            attempt: 1,
            asked: 0,
            asked_again: false,
            result: None,
            places: Places::default(),
            further: Vec::new(),
        },
        OrderEvent::StepDone {
            step,
            attempt,
            asked: 3,
            asked_again: true,
            result: Some("pi_1".to_owned()),
            places: Places::default(),
            further: Vec::new(),
        },
        OrderEvent::StepDone {
            step: Step::Reserve,
            attempt,
            asked: 0,
            asked_again: false,
            result: None,
            places: [("A".parse().unwrap(), "north".parse().unwrap())].into_iter().collect(),
            further: Vec::new(),
        },
        OrderEvent::StepDone {
            step: Step::Book,
            attempt,
            asked: 0,
            asked_again: false,
            result: Some("T1".to_owned()),
            places: Places::default(),
            further: vec!["T2".to_owned()],
        },
        OrderEvent::StepRefused { step, attempt, code: code(), detail: "Your card was declined.".to_owned() },
        OrderEvent::CancelRequested { reason: "changed my mind".to_owned() },
        OrderEvent::StepUndone { step: Step::Confirm, attempt },
        OrderEvent::StepBroken { step: Step::Book, attempt, undo: true, why: why() },
        OrderEvent::StepBroken { step: Step::Capture, attempt, undo: false, why: why() },
        OrderEvent::OrderResolved { how: Resolution::Retry, reason: why() },
        OrderEvent::OrderResolved { how: Resolution::Cancel, reason: why() },
        OrderEvent::OrderShipped { tracking: Vec::new() },
        OrderEvent::OrderShipped { tracking: vec!["T1".to_owned(), "T2".to_owned()] },
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
fn what_was_recorded_before_there_were_places_is_one_parcel_at_main() {
    let read = |kind: &str, payload: &str| {
        OrderEvent::restore(kind, SCHEMA_VERSION, serde_json::from_str(payload).unwrap()).unwrap()
    };
    let now = banyan_kernel::Clock::now(&ManualClock::at_micros(1_750_000_000_000_000));
    let (mut order, _) = order("old", now);
    for (kind, payload) in [
        ("StepDone", r#"{"actor":"system:saga","attempt":1,"step":"reserve"}"#),
        ("StepDone", r#"{"actor":"system:saga","attempt":1,"result":"T1","step":"book"}"#),
        ("OrderShipped", r#"{"actor":"system:saga"}"#),
    ] {
        let recorded = order.record(read(kind, payload), now, &Actor::system("saga"));
        assert_eq!(recorded.payload, serde_json::from_str::<Json>(payload).unwrap(), "the hash covers it");
    }
    let [parcel] = &crate::view::of(&order).parcels[..] else { panic!("one parcel") };
    assert_eq!((parcel.tracking.as_str(), parcel.place.as_str(), parcel.lines.len()), ("T1", "main", 1));
}

#[test]
fn an_unknown_version_type_or_payload_is_refused_not_guessed() {
    let (kind, payload) = OrderEvent::OrderShipped { tracking: Vec::new() }.stored(&actor());
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
    assert_eq!(order.told, 4, "created, shipped with and without numbers, cancelled");
    assert_eq!(row.events.iter().filter_map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 3, 4]);
    row.events[4].payload["step"] = "capture".into();
    assert_eq!(row.refold(), Err("event 5 was changed".to_owned()));
    row.events.remove(2);
    assert_eq!(row.refold(), Err("event 3 is missing".to_owned()));
}
