//! An item that PostgreSQL refuses: it alone is told so, and the rest of its batch is done.

use banyan_kernel::Answer;
use payments_api::{
    Payments,
    testing::{UnderTest, authorise, order},
};

use crate::world::World;

const BATCH: usize = 50;
const GUILTY: usize = 13;

/// PostgreSQL takes no NUL in a text.
#[tokio::test]
async fn one_item_of_fifty_is_refused_by_the_database() {
    let world = World::new().await;
    let mut batch: Vec<_> =
        (0..BATCH).map(|n| authorise(order(&format!("poison-{n}")), 1, "pm_card_visa")).collect();
    batch[GUILTY].body.method = "pm\0".to_owned();
    let answers = world.payments.authorise(batch.clone()).await;
    assert_eq!(answers.len(), BATCH);
    for (at, (answer, command)) in answers.iter().zip(&batch).enumerate() {
        let (broken, done) = (matches!(answer, Answer::Broken(_)), matches!(answer, Answer::Done(_)));
        assert!(if at == GUILTY { broken } else { done }, "item {at}: {answer:?}");
        assert_eq!(world.book(command.id.order).await.len(), usize::from(at != GUILTY));
    }
    world.balances().await;
}

#[tokio::test]
async fn a_closed_module_and_a_database_that_is_away_are_unavailable_and_nothing_is_charged() {
    let world = World::new().await;
    let order = order("closed");
    let ask = || world.payments.authorise(vec![authorise(order, 1, "pm_card_visa")]);
    world.store.fence().close().await.expect("closed");
    assert!(matches!(ask().await[..], [Answer::Unavailable(_)]));
    world.store.fence().open().await.expect("open");
    world.store.pool().close().await;
    assert!(matches!(ask().await[..], [Answer::Unavailable(_)]));
    assert!(world.book(order).await.is_empty());
}
