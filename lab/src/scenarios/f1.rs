//! F1: a version of the API is a promise; one that is not there is refused, and what changes within it breaks nobody.

use banyan_lab::contracts::breaking;
use serde_json::Value;

use super::{Cast, Row, Shown, agreed, open, operations};

pub const ROW: Row = Row {
    name: "F1",
    title: "API versions: so far there is one, and a client of it can live with this shop",
    says: [
        "The paths of the running shop's document are counted by version; a version that is not there is asked for.",
        "Then the document that clients were built against (pacts/) is compared with what the shop serves: what would break them?",
    ],
    without: &[],
    file: "lab/src/contracts.rs",
    play: |cast| Box::pin(play(cast)),
};

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let shop = open(&stage, cast.options(&[])).await;
    let (_, served) = shop.get("/openapi.json", "").await;
    let names = operations(&served);
    let versioned = names.iter().filter(|name| name.contains(" /v1/")).count();
    let health = names.iter().filter(|name| name.contains(" /health/")).count();
    let (status, problem) = shop.get("/v2/orders", &shop.customer_token("ada").await).await;
    let breaks = breaking(&agreed(), &served);
    breaks.iter().for_each(|what| println!("    breaks: {what}"));
    let refused = status == 404 && problem["type"] == "/problems/no_such_path";
    println!("    /v2/orders: {status} {}", problem["type"].as_str().unwrap_or_default());
    let figure = format!(
        "{versioned} operations of v1 and {health} without a version, {} others; {} changes that break a client of v1",
        names.len() - versioned - health,
        breaks.len()
    );
    Shown {
        figure,
        as_said: versioned + health == names.len()
            && versioned > 0
            && refused
            && breaks.is_empty()
            && served != Value::Null,
    }
}
