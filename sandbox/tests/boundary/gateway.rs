//! The payment gateway when all goes well, and its idempotency keys.

use std::time::Duration;

use futures::future::join_all;

use crate::outside::{Outside, charge, got};

#[tokio::test]
async fn an_intent_goes_from_authorise_to_refund() {
    let outside = Outside::start().await;
    let charged = outside.charge("k1", "order-1").await;
    assert_eq!((charged.status, charged.body["status"].as_str()), (200, Some("requires_capture")));
    assert_eq!(charged.body["amount_capturable"], 1999);
    assert_eq!(charged.body["currency"], "gbp");
    assert_eq!(charged.body["metadata"]["order"], "order-1");
    let id = charged.id();
    let captured = outside.ask("k2", id, "capture").await;
    assert_eq!((captured.status, captured.body["status"].as_str()), (200, Some("succeeded")));
    assert_eq!(captured.body["amount_received"], 1999);
    let part = [("payment_intent", id), ("amount", "500"), ("metadata[order]", "order-1")];
    let refund = got(outside.form("/v1/refunds", "k3", &part)).await;
    assert_eq!((refund.status, refund.body["object"].as_str()), (200, Some("refund")));
    let rest = got(outside.form("/v1/refunds", "k4", &[("payment_intent", id)])).await;
    assert_eq!(rest.body["amount"], 1499);
    let more = got(outside.form("/v1/refunds", "k5", &[("payment_intent", id)])).await;
    assert_eq!((more.status, more.code()), (400, "charge_already_refunded"));
    let refunds = outside.get(&format!("/v1/refunds?payment_intent={id}")).await;
    assert_eq!(refunds.body["data"].as_array().unwrap().len(), 2);
    let intent = outside.get(&format!("/v1/payment_intents/{id}")).await;
    assert_eq!(intent.body["amount_refunded"], 1999);
    assert_eq!(outside.kinds().await, ["authorised", "captured", "refunded", "refunded"]);
}

#[tokio::test]
async fn a_part_is_captured_and_the_rest_is_free() {
    let outside = Outside::start().await;
    let charged = outside.charge("k1", "order-1").await;
    let path = format!("/v1/payment_intents/{}/capture", charged.id());
    let too_much = got(outside.form(&path, "k2", &[("amount_to_capture", "2000")])).await;
    assert_eq!(too_much.status, 400);
    let captured = got(outside.form(&path, "k3", &[("amount_to_capture", "1000")])).await;
    assert_eq!(captured.body["amount_received"], 1000);
    assert_eq!(captured.body["amount_capturable"], 0);
}

#[tokio::test]
async fn an_intent_refuses_what_its_state_forbids() {
    let outside = Outside::start().await;
    let charged = outside.charge("k1", "order-1").await;
    let refund = got(outside.form("/v1/refunds", "k2", &[("payment_intent", charged.id())])).await;
    assert_eq!((refund.status, refund.code()), (400, "payment_intent_unexpected_state"));
    assert_eq!(outside.ask("k3", charged.id(), "cancel").await.body["status"], "canceled");
    for (key, what) in [("k4", "cancel"), ("k5", "capture")] {
        let again = outside.ask(key, charged.id(), what).await;
        assert_eq!((again.status, again.code()), (400, "payment_intent_unexpected_state"));
        assert_eq!(again.body["error"]["payment_intent"]["status"], "canceled");
    }
    assert_eq!(outside.ask("k6", "pi_unknown", "capture").await.status, 404);
    assert_eq!(outside.kinds().await, ["authorised", "cancelled"]);
}

#[tokio::test]
async fn cards_do_what_their_names_say() {
    let outside = Outside::start().await;
    let cards = [
        ("pm_card_chargeDeclined", "card_declined", Some("generic_decline")),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", Some("insufficient_funds")),
        ("pm_card_visa_chargeDeclinedLostCard", "card_declined", Some("lost_card")),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
    ];
    for (card, code, decline_code) in cards {
        for replayed in [false, true] {
            let declined = got(outside.charging(card, card, card)).await;
            let error = &declined.body["error"];
            assert_eq!((declined.status, declined.replayed), (402, replayed));
            assert_eq!((error["type"].as_str(), declined.code()), (Some("card_error"), code));
            assert_eq!(error["decline_code"].as_str(), decline_code);
            assert_eq!(error["payment_intent"]["status"], "requires_payment_method");
        }
    }
    assert_eq!(outside.kinds().await, ["declined"; 4]);
}

#[tokio::test]
async fn a_card_whose_capture_fails_can_be_voided() {
    let outside = Outside::start().await;
    let charged = got(outside.charging("k1", "order-1", "pm_sandbox_captureFails")).await;
    let refused = outside.ask("k2", charged.id(), "capture").await;
    assert_eq!((refused.status, refused.code()), (402, "card_declined"));
    assert_eq!(refused.body["error"]["payment_intent"]["status"], "requires_capture");
    assert_eq!(outside.ask("k3", charged.id(), "cancel").await.status, 200);
    assert_eq!(outside.kinds().await, ["authorised", "declined", "cancelled"]);
}

#[tokio::test]
async fn a_repeat_is_answered_as_the_first_was() {
    let outside = Outside::start().await;
    let first = outside.charge("k1", "order-1").await;
    outside.ask("k2", first.id(), "capture").await;
    let again = outside.charge("k1", "order-1").await;
    assert!(!first.replayed && again.replayed);
    assert_eq!(first.body, again.body);
    assert_eq!(outside.kinds().await, ["authorised", "captured"]);
}

#[tokio::test]
async fn the_order_of_fields_does_not_make_another_request() {
    let outside = Outside::start().await;
    outside.charge("k1", "order-1").await;
    let mut fields = charge("order-1", "pm_card_visa");
    fields.reverse();
    assert!(got(outside.form("/v1/payment_intents", "k1", &fields)).await.replayed);
}

#[tokio::test]
async fn a_key_with_another_body_or_path_is_refused() {
    let outside = Outside::start().await;
    let charged = outside.charge("k1", "order-1").await;
    let other = outside.charge("k1", "order-2").await;
    assert_eq!((other.status, other.body["error"]["type"].as_str()), (400, Some("idempotency_error")));
    let other = outside.ask("k1", charged.id(), "capture").await;
    assert_eq!((other.status, other.code()), (400, "idempotency_key_reused"));
    assert_eq!(outside.kinds().await, ["authorised"]);
}

#[tokio::test]
async fn the_same_key_at_once_charges_once() {
    let outside = Outside::start().await;
    let all = join_all((0..20).map(|_| outside.charge("k1", "order-1"))).await;
    assert!(all.iter().all(|got| matches!(got.status, 200 | 409)), "{all:?}");
    assert_eq!(all.iter().filter(|got| got.status == 200 && !got.replayed).count(), 1);
    assert_eq!(outside.kinds().await, ["authorised"]);
}

#[tokio::test]
async fn a_key_in_flight_is_a_conflict() {
    let outside = Outside::start().await;
    let slow = || got(outside.charging("k1", "order-1", "pm_sandbox_slow"));
    let (first, second) = tokio::join!(slow(), slow());
    let (mut done, mut conflict) = (first, second);
    if done.status == 409 {
        std::mem::swap(&mut done, &mut conflict);
    }
    assert_eq!((done.status, conflict.status), (200, 409));
    assert_eq!(conflict.code(), "idempotency_key_in_use");
    assert!(slow().await.replayed);
    assert_eq!(outside.kinds().await, ["authorised"]);
}

#[tokio::test]
async fn a_forgotten_key_charges_a_second_time() {
    let outside = Outside::tweaked(|config| config.key_memory = Duration::from_millis(50)).await;
    let first = outside.charge("k1", "order-1").await;
    outside.clock.pass(Duration::from_millis(49));
    assert!(outside.charge("k1", "order-1").await.replayed);
    outside.clock.pass(Duration::from_millis(1));
    let second = outside.charge("k1", "order-1").await;
    assert!(!second.replayed);
    assert_ne!(first.id(), second.id());
    assert_eq!(outside.kinds().await, ["authorised", "authorised"]);
    // The second is remembered from its own time on.
    outside.clock.pass(Duration::from_millis(49));
    assert!(outside.charge("k1", "order-1").await.replayed);
}

#[tokio::test]
async fn charges_are_looked_up_by_order() {
    let outside = Outside::start().await;
    let first = outside.charge("k1", "order-1").await;
    let second = outside.charge("k2", "order-1").await;
    outside.charge("k3", "order-2").await;
    let found = outside.get("/v1/payment_intents/search?query=metadata['order']:'order-1'").await;
    assert_eq!(found.body["object"], "search_result");
    let ids: Vec<_> = found.body["data"].as_array().unwrap().iter().map(|intent| &intent["id"]).collect();
    assert_eq!(ids, [second.id(), first.id()]);
    let none = outside.get("/v1/payment_intents/search?query=metadata['order']:'order-9'").await;
    assert_eq!(none.body["data"], serde_json::json!([]));
}
