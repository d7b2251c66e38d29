//! A2: whatever step is refused, what was done before is undone in reverse.

use banyan_lab::stage::{ShopClient, Wish, until};
use banyan_store::sqlx;
use serde_json::{Value, json};

use super::{Cast, ENDED, Row, SKUS, Shown, findings, in_words, open};

pub const ROW: Row = Row {
    name: "A2",
    title: "compensation: every step can be undone when a later one fails",
    says: [
        "Five orders are refused, each at another step: stock, card, hold, carrier, capture.",
        "The order's own events show what was done before, and that it was undone in reverse.",
    ],
    without: &[(
        "saga",
        "who is asked to undo says yes and does nothing: stock and money stay held, and the audit says for whom",
    )],
    file: "modules/orders/core/src/saga.rs",
    play: |cast| Box::pin(play(cast)),
};

const STEPS: [&str; 5] = ["reserve", "authorise", "confirm", "book", "capture"];
const RESERVATION: &str = "select state from inventory.reservation where order_id = $1::text::uuid";

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let shop = open(&stage, cast.options(&["--allow-faults", "--hold-s", "4"])).await;
    let mut in_reverse = 0;
    println!("    refused at  why                                done before                  undone");
    for step in STEPS {
        let order = refused_at(&shop, step).await;
        shop.settled(std::slice::from_ref(&order), ENDED).await.unwrap_or_else(|why| panic!("{why}"));
        let (_, events) = shop.get(&format!("/v1/orders/{order}/events"), &shop.staff_token().await).await;
        let (done, undone) = (steps(&events, "StepDone"), steps(&events, "StepUndone"));
        let refused = steps(&events, "StepRefused");
        let code = cause(&events);
        println!("    {step:<11} {code:<34} {:<28} {}", done.join(" "), undone.join(" "));
        // A confirmation is undone with its reservation.
        let owed: Vec<&String> = done.iter().rev().filter(|step| *step != "confirm").collect();
        in_reverse += usize::from(refused == [step] && owed.iter().copied().eq(&undone));
    }
    let found = findings(&shop).await;
    let word = if cast.without.is_some() { "say they were undone" } else { "undone in reverse" };
    let figure = format!("{in_reverse} of {} orders {word}; {}", STEPS.len(), in_words(&found));
    let as_said = match cast.without {
        None => in_reverse == STEPS.len() && found.is_empty(),
        Some(_) => found.contains_key("stock") && found.contains_key("money"),
    };
    Shown { figure, as_said }
}

/// An order that is refused there, and nowhere before.
async fn refused_at(shop: &ShopClient, step: &str) -> String {
    let wish = Wish::of("customer-0", &format!("a2-{step}"), &SKUS[..2]);
    match step {
        "reserve" => {
            let mut wish = wish;
            // More than is in stock, and less than an order may cost.
            wish.body["lines"][0]["quantity"] = json!(200_000);
            shop.place(&wish).await
        }
        "authorise" => shop.place(&wish.paid_with("pm_card_chargeDeclinedInsufficientFunds")).await,
        "capture" => shop.place(&wish.paid_with("pm_sandbox_captureFails")).await,
        "book" => {
            broken(shop, &["carrier", "--refuse", "100%"]).await;
            let order = shop.place(&wish).await;
            shop.settled(std::slice::from_ref(&order), ENDED).await.unwrap_or_else(|why| panic!("{why}"));
            shop.banyan(&["mend"]).await;
            order
        }
        _ => expired(shop, &wish).await,
    }
}

/// The gateway is away for longer than stock is held.
async fn expired(shop: &ShopClient, wish: &Wish) -> String {
    broken(shop, &["gateway", "--down", "100%"]).await;
    let (order, database) = (shop.place(wish).await, shop.superuser_pool());
    until(ENDED, "the hold to end", async || {
        let state: Option<String> =
            sqlx::query_scalar(RESERVATION).bind(&order).fetch_optional(&database).await.ok()?;
        (state.as_deref() == Some("released")).then_some(())
    })
    .await;
    shop.banyan(&["mend"]).await;
    order
}

async fn broken(shop: &ShopClient, how: &[&str]) {
    let output = shop.banyan(&[&["break"], how, &["--for", "60s"]].concat()).await;
    assert!(output.status.success(), "{output:?}");
}

fn steps(events: &Value, kind: &str) -> Vec<String> {
    let of_kind = events.as_array().into_iter().flatten().filter(|event| event["type"] == kind);
    of_kind.filter_map(|event| event["step"].as_str().map(str::to_owned)).collect()
}

fn cause(events: &Value) -> String {
    let refused = events.as_array().into_iter().flatten().find(|event| event["type"] == "StepRefused");
    let cause = refused.and_then(|event| event["cause"].as_str()).unwrap_or("not refused");
    cause.split(':').next().unwrap_or_default().to_owned()
}
