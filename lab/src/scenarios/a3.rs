//! A3: an order is the sum of its events, and nobody changes its past.

use banyan_lab::stage::Wish;
use banyan_store::sqlx;

use super::{Cast, ENDED, Row, SKUS, Shown, findings, in_words, open, role_pool};

pub const ROW: Row = Row {
    name: "A3",
    title: "the trail: what happened to an order, in order, with who and why",
    says: [
        "One order is shipped and one is turned back; both are shown as their events.",
        "Then the module's own login tries to change and to delete an event: PostgreSQL refuses.",
    ],
    without: &[],
    file: "modules/orders/core/src/event.rs",
    play: |cast| Box::pin(play(cast)),
};

const GAPS: &str = "select count(*), count(*) filter (where n <> version) from \
     (select version, row_number() over (partition by order_id order by version) as n from orders.order_event) e";
const REWRITES: [&str; 3] =
    ["update order_event set type = 'OrderShipped'", "delete from order_event", "truncate order_event"];

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let shop = open(&stage, cast.options(&[])).await;
    let wishes = [
        Wish::of("customer-0", "a3-shipped", &SKUS[..2]),
        Wish::of("customer-0", "a3-back", &SKUS[..2]).paid_with("pm_sandbox_captureFails"),
    ];
    let orders = shop.place_all(wishes.to_vec(), 1).await;
    shop.settled(&orders, ENDED).await.unwrap_or_else(|why| panic!("{why}"));
    for order in &orders {
        let shown = shop.banyan(&["order", "show", order]).await;
        println!("    banyan order show {order}");
        String::from_utf8_lossy(&shown.stdout).lines().for_each(|line| println!("    {line}"));
    }
    let (events, gaps): (i64, i64) =
        sqlx::query_as(GAPS).fetch_one(&shop.superuser_pool()).await.expect("the events");
    let module = role_pool(&shop, "orders");
    let mut refused = 0;
    for rewrite in REWRITES {
        let tried = sqlx::query(rewrite).execute(&module).await;
        let code = tried.err().and_then(|error| error.as_database_error()?.code().map(String::from));
        refused += usize::from(code.as_deref() == Some("42501"));
    }
    let found = findings(&shop).await;
    let figure = format!(
        "{events} events of 2 orders, {gaps} gaps; {refused} of {} rewrites refused by PostgreSQL; {}",
        REWRITES.len(),
        in_words(&found)
    );
    Shown { figure, as_said: gaps == 0 && refused == REWRITES.len() && found.is_empty() }
}
