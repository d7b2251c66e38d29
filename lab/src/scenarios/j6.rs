//! J6: the contract is a file; what the shop serves is that file, and a change that breaks a client is named.

use banyan_lab::contracts::breaking;
use serde_json::{Value, json};

use super::{Cast, Row, Shown, agreed, open, operations};

pub const ROW: Row = Row {
    name: "J6",
    title: "versioned OpenAPI contracts: one file per version, served as agreed",
    says: [
        "The running shop's document is compared, member by member, with pacts/openapi/public/v1.json.",
        "Then eight changes are planted in a copy of it, one after the other: which break a client, and is each named?",
    ],
    without: &[],
    file: "pacts/openapi/public/v1.json",
    play: |cast| Box::pin(play(cast)),
};

/// Where, what it becomes (null: it is taken away), and what a client is told; none where it may.
const PLANTED: [(&str, &str, Option<&str>); 8] = [
    ("/paths/~1v1~1orders~1{id}~1cancel", "null", Some("POST /v1/orders/{id}/cancel: it is gone")),
    ("/components/schemas/OrderAccepted/properties/total", "null", Some("total of the 201 is gone")),
    ("/components/schemas/Basket/properties/gift", r#"{"type": "boolean"}"#, None),
    ("/components/schemas/Basket/required/-", r#""gift""#, Some("gift of the body must be given")),
    ("/components/schemas/OrderState/enum/-", r#""lost""#, Some("may be lost, which nobody knew")),
    (
        "/components/schemas/OrderSummary/properties/pieces/type",
        r#""string""#,
        Some("was integer and is string"),
    ),
    ("/components/schemas/OrderView/properties/note", r#"{"type": "string"}"#, None),
    ("/paths/~1v1~1orders/get/parameters/0/required", "true", Some("must be given")),
];

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let shop = open(&stage, cast.options(&[])).await;
    let (_, served) = shop.get("/openapi.json", "").await;
    let agreed = agreed();
    let count = operations(&served).len();
    let is_agreed = served == agreed;
    let mut right = 0;
    for (at, becomes, told) in PLANTED {
        let found = breaking(&agreed, &planted(&agreed, at, becomes));
        let is_right = match told {
            None => found.is_empty(),
            Some(words) => found.iter().any(|what| what.contains(words)),
        };
        println!("    {at}: {}", found.first().map_or("breaks nobody", String::as_str));
        right += usize::from(is_right);
    }
    let figure = format!(
        "{count} operations served as agreed: {is_agreed}; {right} of {} planted changes judged right",
        PLANTED.len()
    );
    Shown { figure, as_said: is_agreed && right == PLANTED.len() }
}

fn planted(document: &Value, at: &str, becomes: &str) -> Value {
    let mut changed = document.clone();
    let (parent, name) = at.rsplit_once('/').unwrap_or_default();
    let name = name.replace("~1", "/");
    let becomes: Value = serde_json::from_str(becomes).unwrap_or_default();
    match changed.pointer_mut(parent) {
        Some(Value::Object(members)) if becomes.is_null() => drop(members.remove(&name)),
        Some(Value::Object(members)) => drop(members.insert(name, becomes)),
        Some(Value::Array(elements)) => elements.push(becomes),
        other => panic!("{at} is in no document: {}", json!(other)),
    }
    changed
}
