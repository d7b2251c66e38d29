//! An event that was being tried when its process ended may have ended it, or have been under way when somebody did.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use banyan_bus::{
    Counters, GroupOptions, PgInbox, run_group,
    testing::{COUNTED, Harness, KILLS, Ledger, OPTIONS, effects, tell, told, until},
};
use banyan_kernel::slot_of;
use banyan_store::{Held, Position, SlotTable};
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::local::Local;

const GROUP: &str = "sink.teller";
const ME: Uuid = Uuid::from_u128(1);
const HOUR: Duration = Duration::from_secs(3_600);

struct World {
    local: Local,
    ledger: Arc<Ledger>,
    /// Kept, so that the slots stay in hand.
    held: Vec<watch::Sender<BTreeMap<u16, Held>>>,
}

impl World {
    async fn new() -> Self {
        let local = Local::new().await;
        local.sink().beat(GROUP, ME).await.expect("the slots are made");
        let ledger = Arc::new(Ledger::new(local.sink().clone()));
        Self { local, ledger, held: Vec::new() }
    }

    /// The slots of `a` and `b`, taken from who never let them go.
    async fn take(&self, was: Option<Uuid>) -> Vec<Held> {
        let slots = ["a", "b"].map(|subject| (slot_of(subject), was));
        self.local.sink().take(GROUP, ME, &slots).await.expect("taken")
    }

    /// A process begins to serve them.
    fn serve(&mut self, slots: Vec<Held>, options: GroupOptions) -> JoinHandle<()> {
        let held = watch::Sender::new(slots.into_iter().map(|held| (held.slot, held)).collect());
        let inbox = PgInbox::new(self.ledger.clone());
        let (counters, stop) = (Arc::new(Counters::default()), CancellationToken::new());
        let group = run_group(self.local.source(), inbox, held.subscribe(), options, counters, stop);
        self.held.push(held);
        tokio::spawn(group)
    }
}

fn tries(held: &[Held], subject: &str) -> Option<u32> {
    held.iter().find(|held| held.slot == slot_of(subject)).and_then(|held| held.abandoned)
}

async fn end(process: JoinHandle<()>) {
    process.abort();
    let _ = process.await;
}

#[tokio::test]
async fn a_suspect_rests_while_others_go_on_and_who_is_ended_meanwhile_counts_nothing() {
    let mut world = World::new().await;
    let ledger = world.ledger.clone();
    tell(world.local.teller(), &[told("a", 1, KILLS)]).await;
    // Others on this server may hold the horizon for a moment; who finds nothing to begin with is not careful.
    let (source, slots) = (world.local.source(), [slot_of("a")]);
    until("it can be read", || async {
        Ok(!source.page(Position::START, &slots, 1).await?.events.is_empty())
    })
    .await;
    assert_eq!(tries(&world.take(None).await, "a"), None, "whoever let it go did not die of it");
    let taken = world.take(Some(ME)).await;
    assert_eq!(tries(&taken, "a"), Some(0));
    let first = world.serve(taken, OPTIONS);
    until("it is being tried", || async { Ok(ledger.stood() == 1) }).await;
    end(first).await;
    for n in 1..=5 {
        let taken = world.take(Some(ME)).await;
        assert_eq!((tries(&taken, "a"), tries(&taken, "b")), (Some(1), Some(0)), "process {n}");
        let process = world.serve(taken, GroupOptions { suspicion: HOUR, ..OPTIONS });
        tell(world.local.teller(), &[told("b", n, COUNTED)]).await;
        let told = usize::try_from(n).unwrap_or(0);
        until("others go on", || async { Ok(effects(&ledger).await.len() == told) }).await;
        end(process).await;
    }
    assert_eq!(ledger.stood(), 1, "nobody tried it");
    let taken = world.take(Some(ME)).await;
    let last = world.serve(taken, OPTIONS);
    until("it is tried again", || async { Ok(ledger.stood() == 2) }).await;
    end(last).await;
    assert_eq!(tries(&world.take(Some(ME)).await, "a"), Some(2));
}
