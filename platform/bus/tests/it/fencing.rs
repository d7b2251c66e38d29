//! Each write of an inbox is fenced by the slot's epoch: the zombie's test is of the batch, this one of all the others.

use std::sync::Arc;

use banyan_bus::{
    Batch, Inbox, Letter, PgInbox, Refused,
    testing::{COUNTED, Harness, Ledger, tell, told, until},
};
use banyan_store::{Held, Position, SlotTable, sqlx};
use uuid::Uuid;

use crate::local::Local;

const GROUP: &str = "sink.teller";
const STANDS: &str = "select attempts::int8, source_seq from slot where group_name = $1 and slot = $2";
const LETTERS: &str = "select count(*) from dead_letter";
const ZOMBIE: Uuid = Uuid::from_u128(1);
const HEIR: Uuid = Uuid::from_u128(2);

/// A slot that one member holds and another then takes over; and an event of it.
struct World {
    local: Local,
    inbox: PgInbox,
    letter: Letter,
    zombie: Held,
    heir: Held,
}

impl World {
    async fn new() -> Self {
        let local = Local::new().await;
        let inbox = PgInbox::new(Arc::new(Ledger::new(local.sink().clone())));
        tell(local.teller(), &[told("a", 1, COUNTED)]).await;
        let slot = banyan_kernel::slot_of("a");
        let source = local.source();
        let page = async || source.page(Position::START, &[slot], 10).await;
        // Others on this server may hold the horizon for a moment.
        until("the event can be read", || async { Ok(!page().await?.events.is_empty()) }).await;
        let page = page().await.expect("the outbox");
        let (at, event) = page.events.into_iter().next().expect("the event");
        let letter = Letter { at, event, reason: "a test".to_owned(), attempts: 3 };
        local.sink().beat(GROUP, ZOMBIE).await.expect("the slots are made");
        let take = async |me, was| local.sink().take(GROUP, me, &[(slot, was)]).await.expect("taken")[0];
        let (zombie, heir) = (take(ZOMBIE, None).await, take(HEIR, Some(ZOMBIE)).await);
        Self { local, inbox, letter, zombie, heir }
    }

    /// Attempts, and how far the slot is.
    async fn stands(&self) -> (i64, i64) {
        let stands = sqlx::query_as(STANDS).bind(GROUP).bind(self.heir.slot as i16);
        stands.fetch_one(self.local.sink().pool()).await.expect("the slot")
    }
}

#[tokio::test]
async fn a_zombie_counts_excuses_parks_and_moves_nothing() {
    let world = World::new().await;
    let World { inbox, letter, zombie, heir, .. } = &world;
    let fenced = |refused: Refused| assert_eq!(refused, Refused::Fenced(vec![zombie.slot]));
    assert_eq!(inbox.attempt(heir, letter.at.position).await, Ok(1));
    fenced(inbox.attempt(zombie, letter.at.position).await.expect_err("a zombie's attempt"));
    inbox.excuse(zombie, letter.at.position).await.expect("nothing to be excused");
    fenced(inbox.park(zombie, letter).await.expect_err("a zombie's letter"));
    let batch = Batch { events: vec![(letter.at, letter.event.clone())], slots: vec![*zombie] };
    fenced(inbox.apply(&batch).await.expect_err("a zombie's batch"));
    assert_eq!(world.stands().await, (1, 0), "what the heir counted, and where it stands");
    let letters: i64 =
        sqlx::query_scalar(LETTERS).fetch_one(world.local.sink().pool()).await.expect("the letters");
    assert_eq!(letters, 0);
    inbox.excuse(heir, letter.at.position).await.expect("excused");
    assert_eq!(world.stands().await, (0, 0));
}
