//! A relay that dies between what it published and what it wrote of it.

use std::sync::atomic::Ordering;

use banyan_bus::testing::{COUNTED, Harness, Member, applied, assert_whole, ledger, tell, told, until};
use banyan_kernel::{SLOTS, slot_of};
use banyan_store::sqlx::{self, Executor};

use crate::carried::Kafka;

/// From now on it can publish, and not write what it published. A lock would do the same and, as it takes an xid, hold the
/// outbox's horizon.
const HOLD: &str = "create function hold() returns trigger language plpgsql as \
     $$ begin raise exception 'held' using errcode = '57014'; end $$; \
     create trigger hold before update of source_seq on slot for each row \
     when (new.group_name = 'teller.relay') execute function hold()";
const LET_GO: &str = "drop trigger hold on slot";

async fn tell_each(harness: &Kafka, sequences: std::ops::RangeInclusive<i64>) {
    for sequence in sequences {
        tell(harness.teller(), &[told("a", sequence, COUNTED)]).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_acknowledgement_and_position_it_makes_duplicates_and_nothing_else() {
    let Some(harness) = Kafka::new().await else { return };
    let ledger = ledger(&harness);
    let member = Member::start(&harness, &ledger);
    tell_each(&harness, 1..=10).await;
    applied(&ledger, 10).await;
    let mut administrator = harness.administrator("teller").await;
    administrator.execute(HOLD).await.unwrap();
    tell_each(&harness, 11..=20).await;
    applied(&ledger, 20).await;
    harness.kill_relay().await;
    administrator.execute(LET_GO).await.unwrap();
    harness.start_relay();
    tell_each(&harness, 21..=21).await;
    applied(&ledger, 21).await;
    let counters = member.counters.clone();
    member.stop().await;
    let topic = harness.cluster.look("teller").await.unwrap().expect("its topic");
    let records: i64 = topic.partitions.iter().map(|(begin, end)| end - begin).sum();
    assert!(records >= 31, "{records}: the next relay publishes them again");
    let duplicates = counters.duplicates.load(Ordering::SeqCst);
    assert_eq!(
        duplicates, 0,
        "a consumer that adds up, and has no row that would know them, is not told them"
    );
    assert_eq!(counters.gaps.load(Ordering::SeqCst), 0, "something was missed, and asked of the source");
    assert_whole(&ledger, &["a"], 21).await;
}

/// Positions of the group's slots of which nothing was told.
const IDLE: &str = "select count(*) from slot where group_name = 'sink.teller' and slot <> $1 and source_xid > '0' \
     and carrier_offset is not null";

/// A slot of which nothing is told goes on with the others: the relay says that nothing came.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_idle_goes_on_by_marks() {
    let Some(harness) = Kafka::new().await else { return };
    let ledger = ledger(&harness);
    let member = Member::start(&harness, &ledger);
    tell_each(&harness, 1..=10).await;
    applied(&ledger, 10).await;
    // Once a mark has come; the first record of a partition says nothing of what is before it.
    let mut sequence = 10;
    until("the idle slots have gone on", || {
        sequence += 1;
        let next = sequence;
        let harness = &harness;
        async move {
            tell_each(harness, next..=next).await;
            let idle = sqlx::query_scalar::<_, i64>(IDLE).bind(i16::try_from(slot_of("a")).unwrap());
            let idle = idle.fetch_one(harness.sink().pool()).await?;
            Ok(idle == i64::from(SLOTS) - 1)
        }
    })
    .await;
    let counters = member.counters.clone();
    member.stop().await;
    assert_eq!(counters.gaps.load(Ordering::SeqCst), 0, "something was missed, and asked of the source");
}
