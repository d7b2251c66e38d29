//! D6: what the modules tell, by name.

use banyan_lab::stage::Wish;
use banyan_store::sqlx;
use serde_json::json;

use super::{Cast, ENDED, Row, SKUS, Shown, baskets, findings, in_words, open};

pub const ROW: Row = Row {
    name: "D6",
    title: "the events told: OrderCreated, InventoryReserved, ProductUpdated, OrderShipped and the rest",
    says: [
        "Orders are shipped, refused and turned back, a price is changed; then every module's public events",
        "are counted by name, and for each subject their sequences must run 1, 2, 3 without a gap.",
    ],
    without: &[],
    file: "modules/orders/api/src/lib.rs",
    play: |cast| Box::pin(play(cast)),
};

/// The public ones of orders' event table, and everybody's outbox.
const TOLD: &str = "with told as ( \
     select 'orders' as source, type, order_id::text as subject, sequence::int8 as sequence from orders.order_event \
         where sequence is not null \
     union all select 'catalog', type, aggregateid, sequence from catalog.outbox \
     union all select 'inventory', type, aggregateid, sequence from inventory.outbox \
     union all select 'payments', type, aggregateid, sequence from payments.outbox \
     union all select 'shipping', type, aggregateid, sequence from shipping.outbox), \
     gaps as (select source, subject, count(*) filter (where sequence <> n) as n from \
         (select *, row_number() over (partition by source, subject order by sequence) as n from told) t group by 1, 2) \
     select source, type, count(*), (select sum(n)::int8 from gaps g where g.source = told.source) \
     from told group by 1, 2 order by 1, 2";
const NAMES: [&str; 11] = [
    "InventoryReleased",
    "InventoryReserved",
    "OrderCancelled",
    "OrderCreated",
    "OrderShipped",
    "PaymentAuthorised",
    "PaymentCaptured",
    "PaymentVoided",
    "ProductUpdated",
    "ShipmentBooked",
    "ShipmentCancelled",
];

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let shop = open(&stage, cast.options(&[])).await;
    let mut wishes = baskets("d6", 20);
    for method in ["pm_card_chargeDeclinedExpiredCard", "pm_sandbox_captureFails"] {
        wishes.push(Wish::of("customer-0", method, &SKUS[..2]).paid_with(method));
    }
    let orders = shop.place_all(wishes, 16).await;
    shop.settled(&orders, ENDED).await.unwrap_or_else(|why| panic!("{why}"));
    let seen = shop.get(&format!("/v1/products/{}", SKUS[0]), "").await.1["version"].clone();
    let dearer = json!({"sku": SKUS[0], "name": "Tea", "category": "LAB", "price_minor": 275, "currency": "EUR", "version": seen});
    let body = json!({ "products": [dearer] });
    let (status, answer) = shop.post("/v1/products", &shop.staff_token().await, "d6-dearer", &body).await;
    assert!(status < 300, "{answer}");
    let told: Vec<(String, String, i64, i64)> =
        sqlx::query_as(TOLD).fetch_all(&shop.superuser_pool()).await.expect("the events");
    let (mut all, mut gaps) = (0, 0);
    for (source, name, count, out_of_sequence) in &told {
        println!("    {source:<10} {name:<20} {count:>5}");
        (all, gaps) = (all + count, gaps + out_of_sequence);
    }
    let missing: Vec<&&str> = NAMES.iter().filter(|name| told.iter().all(|row| row.1 != **name)).collect();
    let found = findings(&shop).await;
    let figure = format!(
        "{all} events of {} names, {gaps} out of sequence, not told: {missing:?}; {}",
        told.len(),
        in_words(&found)
    );
    Shown { figure, as_said: gaps == 0 && missing.is_empty() && found.is_empty() }
}
