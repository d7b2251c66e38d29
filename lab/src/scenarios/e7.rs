//! E7: where did this stock update go?

use serde_json::json;

use super::{Cast, Row, SKUS, Shown, findings, in_words, open, played};

pub const ROW: Row = Row {
    name: "E7",
    title: "where did this stock update go? every movement of a product, with who, why and for which order",
    says: [
        "40 orders take from a shelf, staff find three pieces missing, and `banyan stock show` is asked about one product.",
        "Its movements must add up to what is free now.",
    ],
    without: &[],
    file: "modules/inventory/core/src/movements.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 40;

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let shop = open(&stage, cast.options(&[])).await;
    played(&shop, "e7", ORDERS).await;
    let staff = shop.staff_token().await;
    let finding = json!({"sku": SKUS[0], "by": -3, "reason": "three cups are broken"});
    let (status, answer) = shop.post("/v1/stock/adjustments", &staff, "e7", &finding).await;
    assert_eq!(status, 201, "{answer}");
    let found = findings(&shop).await;
    let output = shop.banyan(&["stock", "show", SKUS[0], "--limit", "5"]).await;
    String::from_utf8_lossy(&output.stdout).lines().for_each(|line| println!("    {line}"));
    let (_, page) = shop.get(&format!("/v1/stock/{}/movements?limit=200", SKUS[0]), &staff).await;
    let movements = page["movements"].as_array().cloned().unwrap_or_default();
    let sum: i64 = movements.iter().filter_map(|movement| movement["quantity"].as_i64()).sum();
    let (_, level) = shop.get(&format!("/v1/stock/{}", SKUS[0]), &staff).await;
    let free = level["on_hand"].as_i64().unwrap_or_default();
    let figure =
        format!("{} movements add up to {sum}, and {free} are free; {}", movements.len(), in_words(&found));
    Shown { figure, as_said: sum == free && page["next"].is_null() && found.is_empty() }
}
