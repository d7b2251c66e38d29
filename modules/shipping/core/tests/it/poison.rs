//! An item that PostgreSQL refuses: it alone is told so, and the rest of its batch is done.

use banyan_kernel::Answer;
use shipping_api::{
    Shipping,
    testing::{cancel, order},
};

use crate::world::World;

const BATCH: usize = 50;
const GUILTY: usize = 13;

/// PostgreSQL takes no NUL in a text.
#[tokio::test]
async fn one_item_of_fifty_is_refused_by_the_database() {
    let world = World::new().await;
    let mut batch: Vec<_> = (0..BATCH).map(|n| cancel(order(&format!("poison-{n}")), 1)).collect();
    batch[GUILTY].body.reason = "\0".to_owned();
    for (at, answer) in world.shipping.cancel(batch).await.iter().enumerate() {
        let (broken, done) = (matches!(answer, Answer::Broken(_)), matches!(answer, Answer::Done(_)));
        assert!(if at == GUILTY { broken } else { done }, "item {at}: {answer:?}");
    }
}
