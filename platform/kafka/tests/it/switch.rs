//! The carrier changes while events flow.

use std::sync::{Arc, atomic::Ordering};

use banyan_bus::testing::{
    COUNTED, Harness, Ledger, Member, applied, assert_whole, effects, ledger, tell, told,
};
use banyan_store::Store;
use tokio_util::sync::CancellationToken;

use crate::carried::Kafka;

pub const SUBJECTS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// Tells each subject's next event, again and again, until it is stopped; how many of each that were.
pub async fn flow(store: Store, stop: CancellationToken) -> i64 {
    let mut sequence = 0;
    while !stop.is_cancelled() {
        sequence += 1;
        for subject in SUBJECTS {
            tell(&store, &[told(subject, sequence, COUNTED)]).await;
        }
    }
    sequence
}

/// Everything that was told had its effect, once and in order.
pub async fn assert_all(ledger: &Ledger, each: i64) {
    applied(ledger, SUBJECTS.len() * usize::try_from(each).unwrap()).await;
    assert_whole(ledger, &SUBJECTS, each).await;
}

/// Serves until some more were applied. Nothing was missing on the way, and how many came again.
async fn some_more(ledger: &Arc<Ledger>, member: Member) -> u64 {
    let so_far = effects(ledger).await.len();
    applied(ledger, so_far + 60).await;
    let counters = member.counters.clone();
    member.stop().await;
    assert_eq!(counters.gaps.load(Ordering::SeqCst), 0, "something was missed, and asked of the source");
    counters.duplicates.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_local_to_kafka_and_back_under_load() {
    let Some(harness) = Kafka::new().await else { return };
    let (ledger, stop) = (ledger(&harness), CancellationToken::new());
    let flowing = tokio::spawn(flow(harness.teller().clone(), stop.clone()));
    for _ in 0..2 {
        let local = some_more(&ledger, Member::on(harness.local(), &ledger)).await;
        assert_eq!(local, 0, "the position is not the one that Kafka's events had");
        let kafka = some_more(&ledger, Member::on(harness.kafka(), &ledger)).await;
        assert_eq!(kafka, 0, "what the local bus applied is passed over");
    }
    // A mixture: each serves a share of the slots. One of them is killed.
    let (local, kafka) = (Member::on(harness.local(), &ledger), Member::on(harness.kafka(), &ledger));
    let so_far = effects(&ledger).await.len();
    applied(&ledger, so_far + 120).await;
    kafka.kill().await;
    stop.cancel();
    let each = flowing.await.unwrap();
    assert_all(&ledger, each).await;
    local.stop().await;
}
