//! Webhooks over HTTP: who is believed, and that what was done by hand at the gateway is noticed by them.

use std::fs;

use banyan_kernel::{Clock, SystemClock};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    http::basket,
    shop::{ALICE, Call, Shop, audit_names_nothing_of, shop, until},
};

const PATH: &str = "/v1/webhooks/payments";
const EVENT: &str = r#"{"id":"evt_1","type":"charge.refunded","data":{"object":{"object":"charge"}}}"#;

/// What the shop and its sandbox know each other by: the gateway's secret, and what webhooks are signed with.
fn secrets(shop: &Shop) -> (String, String) {
    let text = fs::read(shop.data.join("secrets.json")).expect("the shop made its secrets");
    let secrets: Value = serde_json::from_slice(&text).expect("secrets");
    let gateway = secrets["gateway"].as_str().expect("the gateway's").to_owned();
    let webhook = format!("whsec_{}", hex::encode(Sha256::digest(format!("webhook {gateway}"))));
    (gateway, webhook)
}

/// A signature made `ago` seconds ago.
fn signed(secret: &str, body: &str, ago: i64) -> String {
    let seconds = SystemClock.now().unix_timestamp() - ago;
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key");
    mac.update(format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}

/// A signature as the gateway of this shop makes it.
pub(crate) fn signed_now(shop: &Shop, body: &str) -> String {
    signed(&secrets(shop).1, body, 0)
}

#[tokio::test]
async fn who_signs_with_the_gateways_secret_now_is_believed_and_nobody_else() {
    let (_, secret) = secrets(shop().await);
    let hear = |signature: &str, body: &str| Call::post(PATH).header("stripe-signature", signature).raw(body);
    hear(&signed(&secret, EVENT, 0), EVENT).check(204, "").await;
    hear(&signed(&secret, EVENT, 0), EVENT).check(204, "").await;
    let other = EVENT.replace("evt_1", "evt_2");
    for forged in [
        Call::post(PATH).raw(EVENT),
        Call::post(PATH).staff().raw(EVENT),
        hear("", EVENT),
        hear("t=1,v1=00", EVENT),
        hear(&signed("whsec_guessed", EVENT, 0), EVENT),
        hear(&signed("", EVENT, 0), EVENT),
        hear(&signed(&secret, EVENT, 0), &other),
        hear(&signed(&secret, EVENT, 400), EVENT),
        hear(&signed(&secret, EVENT, -400), EVENT),
    ] {
        forged.check(401, "signature_invalid").await;
    }
    for (body, status, problem) in [
        ("{", 400, "malformed_json"),
        ("[]", 422, "invalid_event"),
        (r#"{"id":"evt/../1","type":"charge.refunded"}"#, 422, "invalid_event"),
    ] {
        hear(&signed(&secret, body, 0), body).check(status, problem).await;
    }
    Call::post(PATH).header("content-type", "text/plain").body(EVENT).check(415, "json_only").await;
    let large = "x".repeat(70_000);
    hear(&signed(&secret, &large, 0), &large).check(413, "body_too_large").await;
}

/// What the runbook says to paste.
#[tokio::test]
async fn the_private_gateways_secret_is_found_as_the_runbook_says() {
    let runbook =
        fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../RUNBOOK.md")).expect("the runbook");
    let line =
        runbook.lines().find(|line| line.trim_start().starts_with("printf 'webhook ")).expect("the line");
    let mut shell = std::process::Command::new("sh");
    let printed = shell.args(["-c", line]).env("DATA", &shop().await.data).output().expect("a shell");
    let secret = String::from_utf8_lossy(&printed.stdout).trim().to_owned();
    assert_eq!(secret, secrets(shop().await).1, "{printed:?}");
    Call::post(PATH).header("stripe-signature", signed(&secret, EVENT, 0)).raw(EVENT).check(204, "").await;
}

/// Gives money of an order back at the gateway, as somebody with its dashboard could.
async fn by_hand(shop: &Shop, order: &str, minor: i64) {
    let state = fs::read(shop.data.join("sandbox.json")).expect("the sandbox runs");
    let state: Value = serde_json::from_slice(&state).expect("its state");
    let (address, (secret, _)) = (format!("http://127.0.0.1:{}", state["port"]), secrets(shop));
    let client = banyan_net::client().build().expect("a client");
    let search = client.get(format!("{address}/v1/payment_intents/search")).bearer_auth(&secret);
    let found = search.query(&[("query", format!("metadata['order']:'{order}'"))]).send().await;
    let found: Value = found.expect("an answer").json().await.expect("JSON");
    let intent = found["data"][0]["id"].as_str().expect("an intent");
    let refund = client.post(format!("{address}/v1/refunds")).bearer_auth(&secret);
    let refund = refund.header("content-type", "application/x-www-form-urlencoded");
    let refund = refund.body(format!("payment_intent={intent}&amount={minor}")).send().await;
    assert_eq!(refund.expect("an answer").status(), 200);
}

#[tokio::test]
async fn what_was_given_back_by_hand_at_the_gateway_is_noticed_and_the_books_agree() {
    let placed =
        Call::post("/v1/orders").customer(ALICE).key("by-hand").json(&basket()).check(201, "").await.json();
    let id = placed["id"].as_str().expect("an id").to_owned();
    let order = Call::get(&format!("/v1/orders/{id}")).customer(ALICE);
    until("the order to be shipped", async || {
        (order.send(shop().await).await.json()["state"] == "shipped").then_some(())
    })
    .await;
    by_hand(shop().await, &id, 2).await;
    let listed = Call::get(&format!("/v1/orders/{id}/refunds")).customer(ALICE);
    let refund = until("the gateway to tell", async || {
        let refunds = listed.send(shop().await).await.is(200).json();
        refunds["refunds"].get(0).cloned()
    })
    .await;
    assert_eq!((&refund["amount"]["minor"], &refund["actor"]), (&json!(2), &json!("system:gateway")));
    audit_names_nothing_of(&id).await;
}

#[tokio::test]
async fn a_disputed_payment_is_known_to_staff() {
    let body = json!({"lines": [{"sku": "apple", "quantity": 1}], "payment_method": "pm_card_createDispute"});
    let placed =
        Call::post("/v1/orders").customer(ALICE).key("disputed").json(&body).check(201, "").await.json();
    let path = format!("/v1/orders/{}/disputes", placed["id"].as_str().expect("an id"));
    let dispute = until("the gateway to tell", async || {
        let listed = Call::get(&path).staff().send(shop().await).await.is(200).json();
        listed["disputes"].get(0).cloned()
    })
    .await;
    assert_eq!((&dispute["amount"], &dispute["status"]), (&placed["total"], &json!("needs_response")));
    Call::get(&path).customer(ALICE).check(403, "staff_only").await;
    Call::get(&path).check(401, "token_missing").await;
}
