//! The port's suite, through client, router and core.

use banyan_kernel::Answer;
use inventory_api::{StockFacts, testing::conformance};

use crate::world::World;

#[tokio::test]
async fn by_http_it_conforms_and_its_books_balance() {
    let world = World::new().await;
    conformance(&world).await;
    assert_eq!(world.client.violations().await, Answer::Done(Vec::new()));
}
