//! What the module says of itself; a planted violation is named.

use banyan_kernel::{Answer, OrderId};
use payments_api::{
    PaymentFact, PaymentFacts as _, Payments,
    testing::{authorise, capture, order, refund, void},
};

use crate::world::{World, told};

#[tokio::test]
async fn facts_are_what_the_entries_add_up_to() {
    let world = World::new().await;
    let names = ["held", "taken", "back", "gone", "never"];
    let orders = names.map(order);
    let hold = orders[..4].iter().map(|order| authorise(*order, 1, "pm_card_visa")).collect();
    let held = world.payments.authorise(hold).await;
    assert!(held.iter().all(|answer| matches!(answer, Answer::Done(_))), "{held:?}");
    world.payments.capture(vec![capture(orders[1], 1), capture(orders[2], 1)]).await;
    world.payments.refund(vec![refund(orders[2], 1)]).await;
    world.payments.void(vec![void(orders[3], 1), void(orders[4], 1)]).await;
    let facts = all(&world).await;
    assert!(facts.is_sorted_by_key(|(order, ..)| *order));
    for (order, expected) in orders.iter().zip([
        ("authorised", 1_299, 0, 0, 1),
        ("captured", 0, 1_299, 0, 2),
        ("refunded", 0, 1_299, 1_299, 3),
        ("voided", 0, 0, 0, 2),
        ("cancelled", 0, 0, 0, 0),
    ]) {
        let (_, state, held, taken, back, version) =
            facts.iter().find(|(of, ..)| of == order).expect("a fact").clone();
        assert_eq!((state.as_str(), held, taken, back, version), expected);
    }
    let last = facts.last().expect("facts").0;
    assert_eq!(told(world.payments.facts(last, last).await), []);
    world.balances().await;
}

type Fact = (OrderId, String, i64, i64, i64, i64);

async fn all(world: &World) -> Vec<Fact> {
    let (first, last) = (OrderId(uuid::Uuid::nil()), OrderId(uuid::Uuid::max()));
    let facts = told(world.payments.facts(first, last).await);
    let fact =
        |f: PaymentFact| (f.order, f.state, f.held_minor, f.captured_minor, f.refunded_minor, f.version);
    facts.into_iter().map(fact).collect()
}

#[tokio::test]
async fn a_planted_entry_a_missing_one_and_an_orphan_are_named() {
    let world = World::new().await;
    let [more, less] = ["more", "less"].map(order);
    world.payments.authorise([more, less].map(|order| authorise(order, 1, "pm_card_visa")).to_vec()).await;
    world.balances().await;
    let superuser = world.database.superuser_pool().await;
    let plant = "insert into payments.ledger_entry values ($1, 9, now(), 5, 'USD', 'cash', 'held')";
    let orphan = order("orphan");
    for order in [more, orphan] {
        sqlx::query(plant).bind(order.0).execute(&superuser).await.expect("planted");
    }
    let remove = "delete from payments.ledger_entry where payment_id = $1";
    sqlx::query(remove).bind(less.0).execute(&superuser).await.expect("removed");
    let mut found: Vec<_> = told(world.payments.violations().await);
    found.sort_by_key(|violation| violation.held_minor);
    let named: Vec<_> =
        found.iter().map(|v| (v.order, v.state.as_str(), v.held_minor, v.cash_minor)).collect();
    assert_eq!(
        named,
        [(orphan, "missing", -5, 5), (less, "authorised", 0, 0), (more, "authorised", 1_294, 5)]
    );
}
