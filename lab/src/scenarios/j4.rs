//! J4: each of the six modules as a process of its own, on Kafka.

use banyan_lab::stage::{MODULES, Plan};
use tokio::time::Instant;

use super::{Cast, Row, SKUS, Shown, count, findings, in_words, played, taken_apart};

pub const ROW: Row = Row {
    name: "J4",
    title: "each of the six modules runs as a service of its own on Kafka",
    says: [
        "Six processes, each with its own database, a front, a real broker: 200 orders go through all of them.",
        "The audit asks every module by its contract, and joins what they say with the outside's book.",
    ],
    without: &[],
    file: "platform/host/src/alone.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 200;

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let mut apart = match taken_apart(&stage, Plan::one_of(&MODULES)).await {
        Ok(apart) => apart,
        Err(shown) => return shown,
    };
    apart.front.stock(&SKUS, 100_000).await;
    let began = Instant::now();
    let (_, ended) = played(&apart.front, "j4", ORDERS).await;
    let seconds = began.elapsed().as_secs_f64();
    let found = findings(&apart.front).await;
    let shipped = count(&ended, "shipped");
    let drained = apart.stop().await;
    let figure = format!(
        "{} processes, {shipped} of {ORDERS} orders shipped in {seconds:.1} s; {}; all stopped in good order: {}",
        MODULES.len() + 1,
        in_words(&found),
        if drained { "yes" } else { "NO" }
    );
    Shown { figure, as_said: shipped == ORDERS && found.is_empty() && drained }
}
