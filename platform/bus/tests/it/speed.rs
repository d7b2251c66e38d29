//! How fast a trivial consumer is: printed, asserted nowhere.

use std::{sync::Arc, time::Instant};

use banyan_bus::testing::{COUNTED, Harness, Ledger, Member, effects, tell, told, until};

use crate::local::Local;

const EVENTS: usize = 20_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a figure, not a check: cargo test -p banyan-bus --release speed -- --ignored --nocapture"]
async fn speed() {
    let harness = Local::new().await;
    let names: Vec<String> = (0..1_000).map(|n| format!("s{n}")).collect();
    for sequence in 1..=i64::try_from(EVENTS / names.len()).unwrap() {
        let events: Vec<_> = names.iter().map(|name| told(name, sequence, COUNTED)).collect();
        tell(harness.teller(), &events).await;
    }
    let ledger = Arc::new(Ledger::new(harness.sink().clone()));
    let member = Member::start(&harness, &ledger);
    until("the first is applied", || async { Ok(!effects(&ledger).await.is_empty()) }).await;
    let (before, since) = (effects(&ledger).await.len(), Instant::now());
    until("all are applied", || async {
        Ok(member.counters.applied.load(std::sync::atomic::Ordering::Relaxed) >= EVENTS as u64)
    })
    .await;
    let took = since.elapsed();
    member.stop().await;
    assert_eq!(effects(&ledger).await.len(), EVENTS);
    println!(
        "{} events in {took:?}: {:.0}/s",
        EVENTS - before,
        (EVENTS - before) as f64 / took.as_secs_f64()
    );
}
