//! G2: a network partition between orders and those whom they ask.

use std::time::Duration;

use banyan_lab::stage::{MODULES, Plan, Quality};

use super::{Cast, ENDED, Row, SKUS, Shown, baskets, findings, in_words, played, taken_apart};

pub const ROW: Row = Row {
    name: "G2",
    title: "network partitions: a service is cut off, then silent, and comes back",
    says: [
        "Six services. The line to inventory is cut for five seconds while orders come in; then the line to shipping is silent for five.",
        "Orders are taken all the while, wait at the step that has no answer, and go on when there is one.",
    ],
    without: &[],
    file: "platform/net/src/call/guard.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 100;
const AWAY: Duration = Duration::from_secs(5);

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let plan = Plan { lines: true, ..Plan::one_of(&MODULES) };
    let apart = match taken_apart(&stage, plan).await {
        Ok(apart) => apart,
        Err(shown) => return shown,
    };
    apart.front.stock(&SKUS, 100_000).await;
    played(&apart.front, "g2-before", ORDERS / 2).await;
    let (mut figures, mut well) = (Vec::new(), true);
    for (module, quality, word) in
        [("inventory", Quality::Cut, "cut off"), ("shipping", Quality::Silent, "silent")]
    {
        apart.lines[module][0].becomes(quality);
        let away = tokio::time::Instant::now();
        let orders = apart.front.place_all(baskets(&format!("g2-{module}"), ORDERS), 32).await;
        tokio::time::sleep_until(away + AWAY).await;
        apart.lines[module][0].becomes(Quality::Good);
        let back = tokio::time::Instant::now();
        let ended = apart.front.settled(&orders, ENDED).await;
        well &= ended.is_ok() && orders.len() == ORDERS;
        figures.push(format!(
            "{module} {word}: {} orders taken, the last ended {:.1} s after it was back",
            orders.len(),
            back.elapsed().as_secs_f64()
        ));
    }
    let found = findings(&apart.front).await;
    let figure = format!("{}; {}", figures.join("; "), in_words(&found));
    Shown { figure, as_said: well && found.is_empty() }
}
