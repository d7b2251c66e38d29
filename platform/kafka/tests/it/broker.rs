//! A broker that dies and comes back, as it was or as another.

use std::sync::{Arc, atomic::Ordering};

use banyan_bus::testing::{
    COUNTED, Harness, Ledger, Member, applied, assert_whole, effects, ledger, tell, told, until,
};
use banyan_kafka::{begin_anew, republish, testing::Broker};
use banyan_store::{StoreError, sqlx};
use tokio_util::sync::CancellationToken;

use crate::{
    carried::{Kafka, usable},
    switch::{assert_all, flow},
};

async fn told_so_far(harness: &Kafka) -> Result<i64, StoreError> {
    Ok(sqlx::query_scalar("select count(*) from outbox").fetch_one(harness.teller().pool()).await?)
}

async fn some_more(ledger: &Ledger) {
    let so_far = effects(ledger).await.len();
    applied(ledger, so_far + 100).await;
}

/// Events go on while nothing carries them.
async fn told_to_nobody(harness: &Kafka) {
    let so_far = told_so_far(harness).await.expect("the teller can be read");
    let more = || async { Ok(told_so_far(harness).await? > so_far + 100) };
    until("more was told to nobody", more).await;
}

/// One that may be killed: the other tests' is not.
async fn own() -> Option<Arc<Broker>> {
    let started = tokio::task::spawn_blocking(Broker::start).await.expect("a broker starts");
    usable(started.as_ref())?;
    started.ok().map(Arc::new)
}

async fn with(broker: &Arc<Broker>, f: impl FnOnce(&Broker) + Send + 'static) {
    let broker = broker.clone();
    tokio::task::spawn_blocking(move || f(&broker)).await.expect("the broker obeys");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_restarted_and_frozen_while_events_flow() {
    let Some(broker) = own().await else { return };
    let harness = Kafka::on(&broker).await;
    let (ledger, stop) = (ledger(&harness), CancellationToken::new());
    let member = Member::start(&harness, &ledger);
    let flowing = tokio::spawn(flow(harness.teller().clone(), stop.clone()));
    for _ in 0..2 {
        some_more(&ledger).await;
        with(&broker, Broker::kill).await;
        told_to_nobody(&harness).await;
        with(&broker, Broker::restart).await;
    }
    some_more(&ledger).await;
    with(&broker, |broker| broker.freeze(true)).await;
    told_to_nobody(&harness).await;
    with(&broker, |broker| broker.freeze(false)).await;
    stop.cancel();
    let each = flowing.await.unwrap();
    assert_all(&ledger, each).await;
    let counters = member.counters.clone();
    member.stop().await;
    assert_eq!(counters.gaps.load(Ordering::SeqCst), 0, "something was missed, and asked of the source");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_cluster_at_its_address_stops_the_slots_until_all_is_published_again() {
    let Some(broker) = own().await else { return };
    let harness = Kafka::on(&broker).await;
    let (ledger, bus) = (ledger(&harness), harness.kafka());
    let member = Member::on(bus.clone(), &ledger);
    let tell_each = async |sequences: std::ops::RangeInclusive<i64>| {
        for sequence in sequences {
            tell(harness.teller(), &[told("a", sequence, COUNTED)]).await;
        }
    };
    tell_each(1..=10).await;
    applied(&ledger, 10).await;
    member.stop().await;
    with(&broker, |broker| {
        broker.kill();
        broker.restart_empty();
    })
    .await;
    harness.kill_relay().await;
    harness.start_relay();
    let (bus, slot) = (harness.kafka(), banyan_kernel::slot_of("a"));
    let member = Member::on(bus.clone(), &ledger);
    tell_each(11..=20).await;
    let stopped = || bus.stopped().into_iter().find(|(_, stopped, _)| *stopped == slot);
    until("the slot is stopped", || async { Ok(stopped().is_some()) }).await;
    let (group, _, why) = stopped().unwrap();
    assert_eq!(group, "sink.teller");
    assert!(why.contains("banyan topics recover") && why.contains("cluster"), "{why}");
    assert_eq!(effects(&ledger).await.len(), 10, "nothing is applied from another cluster");
    republish(harness.teller(), "teller").await.unwrap();
    begin_anew(harness.sink(), "sink.teller").await.unwrap();
    applied(&ledger, 20).await;
    member.stop().await;
    assert_whole(&ledger, &["a"], 20).await;
}
