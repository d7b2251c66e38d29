//! Everything arrives, once, in order per key.

use std::sync::Arc;

use banyan_kernel::Envelope;
use banyan_store::{Locks, Store, StoreError, sqlx};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::{
    COUNTED, Harness, Ledger, Member, TELLER, effects,
    harness::{DEADLINE, tell, tell_each, told, until},
};
use crate::BROADCAST_BUFFER_EVENTS;

const LAST: &str = "select coalesce(max(sequence), 0) from outbox where aggregateid = $1";
const REWIND: &str =
    "update slot set source_epoch = 0, source_xid = '0', source_seq = 0, carrier_offset = null";

/// A new ledger of the harness's sink.
pub fn ledger(harness: &impl Harness) -> Arc<Ledger> {
    Arc::new(Ledger::new(harness.sink().clone()))
}

/// Waits until the ledger has so many effects.
///
/// # Panics
/// When it has not after two minutes.
pub async fn applied(ledger: &Ledger, count: usize) {
    until(&format!("{count} events are applied"), || async { Ok(effects(ledger).await.len() >= count) })
        .await;
}

/// Each subject's effects are 1..=last, once each and in order.
///
/// # Panics
/// When they are not.
pub async fn assert_whole(ledger: &Ledger, subjects: &[&str], last: i64) {
    let effects = effects(ledger).await;
    for subject in subjects {
        let of_subject = effects.iter().filter(|effect| effect.subject == *subject);
        let sequences: Vec<i64> = of_subject.map(|effect| effect.sequence).collect();
        assert_eq!(sequences, (1..=last).collect::<Vec<_>>(), "effects of {subject}");
    }
}

/// Events of several keys, told by turns, come in order for each of them, once.
///
/// # Panics
/// When the bus breaks its word.
pub async fn order_is_kept_per_key(harness: &impl Harness) {
    let (ledger, subjects) = (ledger(harness), ["a", "b", "c", "d"]);
    let member = Member::start(harness, &ledger);
    for sequence in 1..=25 {
        let events: Vec<_> = subjects.iter().map(|subject| told(subject, sequence, COUNTED)).collect();
        tell(harness.teller(), &events).await;
    }
    applied(&ledger, 100).await;
    member.stop().await;
    assert_whole(&ledger, &subjects, 25).await;
}

/// Reads the last sequence under the subject's lock and tells the next, as modules do.
async fn tell_next(store: &Store, subject: &str) -> Result<(), StoreError> {
    let mut write = store.begin(&Locks::none().and("subject", [subject])).await?;
    let last: i64 = sqlx::query_scalar(LAST).bind(subject).fetch_one(write.connection()).await?;
    write.tell(&[told(subject, last + 1, COUNTED)]).await?;
    write.commit().await
}

/// As [`tell_next`], again and again until so many were told.
async fn tell_many(store: Store, subject: &'static str, count: u32) {
    for _ in 0..count {
        until("the next event is told", || async { tell_next(&store, subject).await.map(|()| true) }).await;
    }
}

/// Writers that race for one aggregate get their xids in the order of its versions: no reader sees a gap.
///
/// # Panics
/// When the bus breaks its word.
pub async fn xids_follow_versions(harness: &impl Harness) {
    let ledger = ledger(harness);
    let member = Member::start(harness, &ledger);
    let writers = (0..6).map(|_| tokio::spawn(tell_many(harness.teller().clone(), "raced", 20)));
    for writer in writers.collect::<Vec<_>>() {
        writer.await.expect("a writer writes");
    }
    applied(&ledger, 120).await;
    let gaps = member.counters.gaps.load(std::sync::atomic::Ordering::Relaxed);
    member.stop().await;
    assert_eq!(gaps, 0, "an event came before its predecessor");
    assert_whole(&ledger, &["raced"], 120).await;
}

/// What was written first and committed last is applied, though later ones were read meanwhile.
///
/// # Panics
/// When the bus breaks its word.
pub async fn a_lower_xid_that_commits_late_is_not_skipped(harness: &impl Harness) {
    let ledger = ledger(harness);
    let member = Member::start(harness, &ledger);
    tell_each(harness.teller(), "before", 1..=1).await;
    applied(&ledger, 1).await;
    let mut late = harness.teller().begin(&Locks::none()).await.expect("the teller writes");
    late.tell(&[told("late", 1, COUNTED)]).await.expect("the outbox takes events");
    tell_each(harness.teller(), "early", 1..=1).await;
    let looks = harness.looks();
    until("the carrier has looked twice", || async { Ok(harness.looks() >= looks + 2) }).await;
    late.commit().await.expect("the teller commits");
    tell_each(harness.teller(), "after", 1..=1).await;
    applied(&ledger, 4).await;
    member.stop().await;
    assert_whole(&ledger, &["before", "late", "early", "after"], 1).await;
}

/// A group whose positions were set back gets everything again, and nothing happens again.
///
/// # Panics
/// When the bus breaks its word.
pub async fn duplicates_have_no_effect(harness: &impl Harness) {
    let ledger = ledger(harness);
    let first = Member::start(harness, &ledger);
    tell_each(harness.teller(), "a", 1..=10).await;
    applied(&ledger, 10).await;
    first.stop().await;
    sqlx::query(REWIND).execute(harness.sink().pool()).await.expect("the sink can be written");
    let second = Member::start(harness, &ledger);
    tell_each(harness.teller(), "a", 11..=12).await;
    applied(&ledger, 12).await;
    let duplicates = second.counters.duplicates.load(std::sync::atomic::Ordering::Relaxed);
    second.stop().await;
    // More where a carrier brings something twice by itself.
    assert!(duplicates >= 10, "only {duplicates} came again");
    assert_whole(&ledger, &["a"], 12).await;
}

/// A type the consumer does not know moves the sequence, has no effect, and is counted.
///
/// # Panics
/// When the bus breaks its word.
pub async fn unknown_types_are_skipped_and_counted(harness: &impl Harness) {
    let ledger = ledger(harness);
    let member = Member::start(harness, &ledger);
    tell(harness.teller(), &[told("a", 1, COUNTED), told("a", 2, "FromTheFuture"), told("a", 3, COUNTED)])
        .await;
    applied(&ledger, 2).await;
    let skipped = || member.counters.skipped.load(std::sync::atomic::Ordering::Relaxed);
    until("the skipped one is counted", || async { Ok(skipped() == 1) }).await;
    member.stop().await;
    let sequences: Vec<i64> = effects(&ledger).await.iter().map(|effect| effect.sequence).collect();
    assert_eq!(sequences, [1, 3]);
}

/// While the consumer stands still the bus holds one page and reads no other, however much is told.
///
/// # Panics
/// When the bus breaks its word.
pub async fn a_slow_consumer_holds_one_page(harness: &impl Harness) {
    let ledger = ledger(harness);
    let member = Member::start(harness, &ledger);
    // One applied event ends the careful beginning of its slot.
    tell_each(harness.teller(), "a", 1..=1).await;
    applied(&ledger, 1).await;
    ledger.set_gate(false);
    tell_each(harness.teller(), "a", 2..=2).await;
    ledger.stands(1).await;
    let reads = harness.reads();
    for first in [3, 703] {
        let many: Vec<_> = (first..first + 700).map(|sequence| told("a", sequence, COUNTED)).collect();
        tell(harness.teller(), &many).await;
    }
    assert!(harness.reads() <= reads + 1, "it read on while the consumer stood still");
    ledger.set_gate(true);
    applied(&ledger, 1_402).await;
    member.stop().await;
    assert!(ledger.largest_batch_events() <= usize::from(super::OPTIONS.page_events));
    assert_whole(&ledger, &["a"], 1_402).await;
}

async fn next(receiver: &mut Receiver<Arc<Envelope>>) -> Result<i64, RecvError> {
    let event = tokio::time::timeout(DEADLINE, receiver.recv()).await;
    event.expect("a broadcast comes").map(|event| event.sequence)
}

/// Every receiver gets what is told after it subscribed, and nothing that was applied long before.
///
/// # Panics
/// When the bus breaks its word.
pub async fn a_broadcast_reaches_every_receiver_from_now_on(harness: &impl Harness) {
    let stop = CancellationToken::new();
    let ledger = ledger(harness);
    let member = Member::start(harness, &ledger);
    tell_each(harness.teller(), "a", 1..=3).await;
    // Applied: so it is below the horizon, from where a broadcast begins.
    applied(&ledger, 3).await;
    member.stop().await;
    let (one, other) = (harness.bus(), harness.bus());
    let mut one = one.broadcast(TELLER, stop.clone()).await.expect("the bus carries the teller");
    let mut other = other.broadcast(TELLER, stop.clone()).await.expect("the bus carries the teller");
    tell_each(harness.teller(), "a", 4..=6).await;
    for sequence in 4..=6 {
        assert_eq!(next(&mut one).await, Ok(sequence));
        assert_eq!(next(&mut other).await, Ok(sequence));
    }
    stop.cancel();
    assert_eq!(next(&mut one).await, Err(RecvError::Closed), "it ends when it is stopped");
}

/// A receiver that does not keep up is told so, and goes on from what is still there.
///
/// # Panics
/// When the bus breaks its word.
pub async fn a_receiver_that_lags_is_told(harness: &impl Harness) {
    let stop = CancellationToken::new();
    let mut slow = harness.bus().broadcast(TELLER, stop.clone()).await.expect("the bus carries the teller");
    let mut fast = slow.resubscribe();
    let count = i64::try_from(BROADCAST_BUFFER_EVENTS).unwrap_or(0) * 2;
    for chunk in (1..=count).collect::<Vec<_>>().chunks(256) {
        let events: Vec<_> = chunk.iter().map(|sequence| told("a", *sequence, COUNTED)).collect();
        tell(harness.teller(), &events).await;
        for sequence in chunk {
            assert_eq!(next(&mut fast).await, Ok(*sequence));
        }
    }
    assert!(matches!(next(&mut slow).await, Err(RecvError::Lagged(_))));
    assert!(next(&mut slow).await.is_ok(), "it goes on from what is still there");
    stop.cancel();
}

/// The source's database begins new incarnations while writers write.
///
/// # Panics
/// When the bus breaks its word.
pub async fn a_raised_epoch_under_load_loses_nothing(harness: &impl Harness) {
    let (ledger, subjects) = (ledger(harness), ["a", "b", "c", "d"]);
    let member = Member::start(harness, &ledger);
    let writers = subjects.map(|subject| tokio::spawn(tell_many(harness.teller().clone(), subject, 60)));
    for epoch in 2..=6_i64 {
        let enough = usize::try_from(epoch).unwrap_or(0) * 20;
        applied(&ledger, enough).await;
        let fence = harness.teller().fence();
        until("the epoch is raised", || async { fence.raise().await.map(|_| true) }).await;
    }
    for writer in writers {
        writer.await.expect("a writer writes");
    }
    applied(&ledger, 240).await;
    member.stop().await;
    assert_whole(&ledger, &subjects, 60).await;
    assert!(harness.source().end().await.is_ok_and(|end| end.epoch >= 6));
}
