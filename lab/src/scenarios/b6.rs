//! B6: the line to a service becomes slow.

use std::time::Duration;

use banyan_lab::stage::{MODULES, Plan, Quality};

use super::{Cast, Row, SKUS, Shown, browse::Browsing, findings, in_words, p50_p99, played, taken_apart};

pub const ROW: Row = Row {
    name: "B6",
    title: "inject network latency: one service is far away",
    says: [
        "Six services. 100 orders, and somebody who browses; then the same with 150 ms more, each way, to payments.",
        "Orders take longer by what their calls of payments take; who browses notices nothing (goal: p99 within 1.5x).",
    ],
    without: &[],
    file: "platform/net/src/call/page.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 100;
const LATE: Duration = Duration::from_millis(150);

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let plan = Plan { lines: true, ..Plan::one_of(&MODULES) };
    let apart = match taken_apart(&stage, plan).await {
        Ok(apart) => apart,
        Err(shown) => return shown,
    };
    apart.front.stock(&SKUS, 100_000).await;
    played(&apart.front, "b6-warm", ORDERS).await;
    let (mut took, mut browsed) = (Vec::new(), Vec::new());
    for (name, quality) in
        [("near", Quality::Good), ("far", Quality::Late { by: LATE, give_or_take: Duration::ZERO })]
    {
        apart.lines["payments"][0].becomes(quality);
        let browsing = Browsing::start(&apart.front).await;
        let (_, ended) = played(&apart.front, &format!("b6-{name}"), ORDERS).await;
        took.push(p50_p99(&mut ended.values().filter_map(millis).collect::<Vec<_>>()));
        browsed.push(browsing.stop().await);
    }
    let found = findings(&apart.front).await;
    let figure = format!(
        "placed to shipped p50 {:.0} ms near, {:.0} ms far; browsing {}; {}",
        took[0].0,
        took[1].0,
        browsed[1].beside(&browsed[0]),
        in_words(&found)
    );
    let failed: usize = browsed.iter().map(|it| it.failed).sum();
    Shown { figure, as_said: found.is_empty() && failed == 0 && took[1].0 > took[0].0 }
}

/// From placed to ended.
fn millis(order: &serde_json::Value) -> Option<f64> {
    let order: orders_api::Settled = serde_json::from_value(order.clone()).ok()?;
    Some((order.ended_at? - order.placed_at).as_seconds_f64() * 1e3)
}
