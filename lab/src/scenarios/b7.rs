//! B7: bulkheads. One service stands still, and the others go on.

use std::time::Duration;

use banyan_lab::stage::{MODULES, Plan};

use super::{
    Cast, ENDED, Row, SKUS, Shown, baskets, browse::Browsing, findings, in_words, played, taken_apart,
};

pub const ROW: Row = Row {
    name: "B7",
    title: "bulkheads: one service stands still, and who browses does not wait for it",
    says: [
        "Six services. Payments is frozen (SIGSTOP) for ten seconds while orders come in: its calls hang, and must hold up nobody else.",
        "Orders are taken and wait; who browses is answered as before (goal: p99 within 1.5x of what it was under the same load).",
    ],
    without: &[],
    file: "platform/net/src/call/limit.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 150;
const FROZEN: Duration = Duration::from_secs(10);

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let mut apart = match taken_apart(&stage, Plan::one_of(&MODULES)).await {
        Ok(apart) => apart,
        Err(shown) => return shown,
    };
    apart.front.stock(&SKUS, 100_000).await;
    played(&apart.front, "b7-warm", ORDERS / 3).await;
    let browsing = Browsing::start(&apart.front).await;
    played(&apart.front, "b7-before", ORDERS).await;
    let before = browsing.stop().await;

    apart.service("payments").freeze();
    let browsing = Browsing::start(&apart.front).await;
    let frozen = tokio::time::Instant::now();
    let orders = apart.front.place_all(baskets("b7-frozen", ORDERS), 32).await;
    tokio::time::sleep_until(frozen + FROZEN).await;
    let amid = browsing.stop().await;
    apart.service("payments").thaw();
    let thawed = tokio::time::Instant::now();
    let ended = apart.front.settled(&orders, ENDED).await;
    let caught_up = thawed.elapsed();
    let found = findings(&apart.front).await;
    let figure = format!(
        "{} orders taken while payments stood still, {} {:.1} s after; browsing {}; {}",
        orders.len(),
        if ended.is_ok() { "all ended" } else { "NOT ALL ENDED" },
        caught_up.as_secs_f64(),
        amid.beside(&before),
        in_words(&found)
    );
    Shown { figure, as_said: ended.is_ok() && found.is_empty() && amid.failed + before.failed == 0 }
}
