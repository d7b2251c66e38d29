//! Placing: repeats, keys, batches that meet.

use banyan_kernel::{Answer, Line};
use catalog_api::{
    Catalog,
    testing::{sku, staff, wish, wishes},
};
use orders_api::{OrderFacts as _, Orders, PlaceOrder, Placed, refusals};

use crate::world::{World, id, place, told};

fn is_refused(answer: &Answer<Placed>, code: &str) -> bool {
    matches!(answer, Answer::Rejected(refusal) if refusal.code == code)
}

fn done(answer: &Answer<Placed>) -> &Placed {
    let Answer::Done(placed) = answer else { panic!("{answer:?}") };
    placed
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_whatever_happened_since() {
    let world = World::new().await;
    let first = world.place_all(&["a"]).await;
    assert!(!done(&first[0]).repeated);
    assert_eq!(done(&first[0]).accepted.total.minor, 500);
    assert!(matches!(world.catalog.put(staff(), wishes(vec![wish("A", 999)])).await, Answer::Done(_)));
    world.clock.advance_micros(86_400_000_000);
    world.orders.cancel(id("a"), "changed my mind".to_owned(), crate::world::context(id("a"))).await;
    let again = world.place_all(&["a"]).await;
    assert!(done(&again[0]).repeated);
    assert_eq!(done(&again[0]).accepted, done(&first[0]).accepted);
    assert_eq!(world.count("select count(*) from orders").await, 1);
    let facts = world
        .orders
        .facts(banyan_kernel::OrderId(uuid::Uuid::nil()), banyan_kernel::OrderId(uuid::Uuid::max()))
        .await;
    assert!(told(facts).iter().all(|fact| !fact.answers_otherwise && fact.row.is_none()));
}

/// Who had it already keeps it, at the price they were promised.
#[tokio::test]
async fn what_is_retired_meanwhile_is_refused_to_new_orders_alone() {
    let world = World::new().await;
    world.placed("before").await;
    assert!(matches!(world.catalog.retire(staff(), sku("A")).await, Answer::Done(_)));
    let answers = world.place_all(&["before", "after"]).await;
    assert_eq!(done(&answers[0]).accepted.total.minor, 500);
    assert!(is_refused(&answers[1], refusals::RETIRED_PRODUCT), "{answers:?}");
}

#[tokio::test]
async fn a_key_used_for_another_body_is_refused() {
    let world = World::new().await;
    world.placed("a").await;
    let other = PlaceOrder { request_hash: "another body".to_owned(), ..place("a") };
    let answers = world.orders.place(vec![other]).await;
    assert!(is_refused(&answers[0], refusals::KEY_REUSED), "{answers:?}");
}

#[tokio::test]
async fn duplicates_in_a_batch_are_folded() {
    let world = World::new().await;
    let other = PlaceOrder { request_hash: "another body".to_owned(), ..place("a") };
    let answers = world.orders.place(vec![place("a"), place("b"), place("a"), other]).await;
    assert_eq!([0, 1, 2].map(|at| done(&answers[at]).repeated), [false, false, true]);
    assert_eq!(done(&answers[0]).accepted, done(&answers[2]).accepted);
    assert!(is_refused(&answers[3], refusals::KEY_REUSED));
    assert_eq!(world.count("select count(*) from order_event").await, 2);
}

#[tokio::test]
async fn what_is_not_sold_or_cannot_be_summed_is_refused_alone() {
    let world = World::new().await;
    assert!(matches!(world.catalog.put(staff(), wishes(vec![wish("dear", 1 << 52)])).await, Answer::Done(_)));
    let lines = |of: &str| vec![Line { sku: sku(of), quantity: 4.try_into().expect("a quantity") }];
    let unknown = PlaceOrder { lines: lines("unknown"), ..place("unknown") };
    let dear = PlaceOrder { lines: lines("dear"), ..place("dear") };
    let empty = PlaceOrder { lines: Vec::new(), ..place("empty") };
    let answers = world.orders.place(vec![unknown, place("a"), dear, empty]).await;
    assert!(is_refused(&answers[0], refusals::UNKNOWN_PRODUCT));
    assert!(!done(&answers[1]).repeated);
    assert!(is_refused(&answers[2], refusals::PRICE) && is_refused(&answers[3], refusals::PRICE));
    assert_eq!(world.count("select count(*) from orders").await, 1);
}

#[tokio::test]
async fn a_key_in_flight_is_told_so_and_left_nothing_behind_by_a_crash() {
    let world = World::new().await;
    let (crashing, free) =
        world.store.begin_where_free("place", &[id("a").to_string()]).await.expect("a write");
    assert_eq!(free, [true]);
    let answers = world.place_all(&["a", "b"]).await;
    assert!(is_refused(&answers[0], refusals::IN_FLIGHT), "{answers:?}");
    assert!(!done(&answers[1]).repeated, "the other is not kept waiting");
    crashing.abandon().await;
    assert!(!done(&world.place_all(&["a"]).await[0]).repeated);
}

/// Whoever is first with a key has it; the other is told that it is in flight, or gets the first answer.
#[tokio::test]
async fn two_overlapping_batches_in_opposite_order_place_each_order_once() {
    let world = World::new().await;
    for round in 0..20 {
        let forth: Vec<PlaceOrder> = (0..30).map(|n| place(&format!("{round}/{n}"))).collect();
        let back: Vec<PlaceOrder> = forth.iter().rev().cloned().collect();
        let (one, other) = tokio::join!(world.orders.place(forth.clone()), world.orders.place(back));
        let mut new = vec![0; forth.len()];
        for (at, answer) in one.iter().enumerate().chain((0..forth.len()).rev().zip(&other)) {
            match answer {
                Answer::Done(placed) => new[at] += usize::from(!placed.repeated),
                answer => assert!(is_refused(answer, refusals::IN_FLIGHT), "{answer:?}"),
            }
        }
        assert!(new.iter().all(|new| *new <= 1), "{new:?}");
        let again = world.orders.place(forth).await;
        assert!(again.iter().zip(new).all(|(answer, new)| done(answer).repeated == (new == 1)));
    }
    assert_eq!(world.count("select count(*) from orders").await, 600);
    assert_eq!(world.count("select count(*) from order_event").await, 600);
}
