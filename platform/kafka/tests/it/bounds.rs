//! However much waits in the topics, little of it is in memory.

use banyan_bus::testing::{COUNTED, Harness, Member, applied, assert_whole, ledger, tell, told, until};

use crate::carried::Kafka;

/// More than twice what is kept of a partition.
const BACKLOG: i64 = 2_500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_is_fetched_as_it_is_applied() {
    let Some(harness) = Kafka::new().await else { return };
    let (ledger, bus) = (ledger(&harness), harness.kafka());
    ledger.set_gate(false);
    let member = Member::on(bus.clone(), &ledger);
    for first in (1..=BACKLOG).step_by(500) {
        let many: Vec<_> = (first..first + 500).map(|sequence| told("a", sequence, COUNTED)).collect();
        tell(harness.teller(), &many).await;
    }
    ledger.stands(1).await;
    until("as much is kept as may be", || async { Ok(bus.kept_events() >= 1_000) }).await;
    let all = u64::try_from(BACKLOG).unwrap();
    until("all of it is in the topic", || async { Ok(harness.relayed() >= all) }).await;
    // What another subject tells goes through the same hands: when it is there, the first had its chance.
    let mut names = (0..).map(|n| format!("n{n}"));
    let other = names.find(|name| banyan_kernel::slot_of(name) != banyan_kernel::slot_of("a")).unwrap();
    for sequence in 1..=5 {
        tell(harness.teller(), &[told(&other, sequence, COUNTED)]).await;
        let kept = 1_000 + usize::try_from(sequence).unwrap();
        until("the other's is kept", || async { Ok(bus.kept_events() >= kept) }).await;
        assert_eq!(bus.kept_events(), kept, "no more is kept than may be");
    }
    ledger.set_gate(true);
    applied(&ledger, usize::try_from(BACKLOG).unwrap() + 5).await;
    member.stop().await;
    assert_whole(&ledger, &["a"], BACKLOG).await;
}
