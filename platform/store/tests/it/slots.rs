//! Slots change hands: each time under a higher epoch, and only from the hands that were seen.

use banyan_store::{Held, SlotTable, Store};
use uuid::Uuid;

use crate::fence::store;

const GROUP: &str = "sink.teller";
const ONE: Uuid = Uuid::from_u128(1);
const OTHER: Uuid = Uuid::from_u128(2);
const THIRD: Uuid = Uuid::from_u128(3);

async fn take(store: &Store, me: Uuid, was: Option<Uuid>) -> Vec<Held> {
    store.take(GROUP, me, &[(3, was)]).await.expect("the table answers")
}

#[tokio::test]
async fn a_slot_is_taken_from_the_hands_that_were_seen_and_under_a_higher_epoch() {
    let (_database, store) = store().await;
    store.beat(GROUP, ONE).await.expect("the slots are made");
    let first = take(&store, ONE, None).await;
    assert_eq!(take(&store, OTHER, None).await, [], "it is free no longer");
    let second = take(&store, OTHER, Some(ONE)).await;
    assert_eq!(take(&store, THIRD, Some(ONE)).await, [], "another was faster");
    let third = take(&store, ONE, Some(OTHER)).await;
    let epochs: Vec<i64> = [first, second, third].concat().iter().map(|held| held.epoch).collect();
    assert_eq!(epochs.len(), 3);
    assert!(epochs.is_sorted_by(|before, after| before < after), "{epochs:?} fences nobody");
}
