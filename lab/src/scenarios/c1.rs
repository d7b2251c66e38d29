//! C1: who writes does not see it in the list, until it says what it wrote.

use std::time::Instant;

use banyan_lab::stage::{ShopClient, until};

use super::{Cast, ENDED, Row, Shown, baskets, findings, in_words, open, p50_p99};

pub const ROW: Row = Row {
    name: "C1",
    title: "read your writes: shown broken, then kept by the consistency token",
    says: [
        "200 customers place an order and list their orders at once, 16 at a time; the list is a read model.",
        "First without the token of the write: how many miss their own order? Then with it: none may, and what did they wait?",
    ],
    without: &[],
    file: "modules/orders/core/src/list/read.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 200;
const AT_ONCE: usize = 16;

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let shop = open(&stage, cast.options(&[])).await;
    let (without, mut plain_ms) = look(&shop, "without", false).await;
    let (with, mut token_ms) = look(&shop, "with", true).await;
    let ((plain, _), (token, worst)) = (p50_p99(&mut plain_ms), p50_p99(&mut token_ms));
    println!(
        "    without the token: {without} of {ORDERS} customers miss the order they have just placed; a list takes p50 {plain:.0} ms"
    );
    println!(
        "    with the token:    {with} of {ORDERS} miss it; a list takes p50 {token:.0} ms, p99 {worst:.0} ms"
    );
    let found = findings(&shop).await;
    let figure = format!(
        "{:.0} % of the lists stale without the token, {:.0} % with it; {}",
        share(without),
        share(with),
        in_words(&found)
    );
    Shown { figure, as_said: without > 0 && with == 0 && found.is_empty() }
}

fn share(stale: usize) -> f64 {
    stale as f64 * 100.0 / ORDERS as f64
}

/// Places orders and lists right after each: how many lists lack it, and how long each took.
async fn look(shop: &ShopClient, name: &str, with_token: bool) -> (usize, Vec<f64>) {
    let (mut stale, mut millis, mut orders) = (0, Vec::new(), Vec::new());
    for wishes in baskets(name, ORDERS).chunks(AT_ONCE) {
        let looks = wishes.iter().map(async |wish| {
            let placed = shop.try_place(wish).await.expect("an answer");
            assert_eq!(placed.status, 201, "{}", placed.json);
            let token = placed.consistency.filter(|_| with_token);
            let customer = shop.customer_token(&wish.customer).await;
            let begun = Instant::now();
            // 412: not yet. A client asks again, as it is told to.
            let listed = until(ENDED, "the list to come to the token", async || {
                let listed = shop.get_at_least("/v1/orders?limit=200", &customer, token.as_deref()).await;
                (listed.status != 412).then_some(listed)
            });
            let listed = listed.await;
            let took = begun.elapsed().as_secs_f64() * 1e3;
            assert_eq!(listed.status, 200, "{}", listed.json);
            let mut ids = listed.json["orders"].as_array().into_iter().flatten().map(|order| &order["id"]);
            (
                ids.any(|id| *id == placed.json["id"]),
                took,
                placed.json["id"].as_str().unwrap_or_default().to_owned(),
            )
        });
        for (is_there, took, order) in futures::future::join_all(looks).await {
            stale += usize::from(!is_there);
            millis.push(took);
            orders.push(order);
        }
    }
    shop.settled(&orders, ENDED).await.unwrap_or_else(|why| panic!("{why}"));
    (stale, millis)
}
