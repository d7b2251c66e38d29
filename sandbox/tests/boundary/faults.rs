//! Each fault, as the caller meets it and as the book has it.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::json;

use crate::outside::{Got, Outside, got, read};

/// A caller that gives up soon.
async fn impatient(outside: &Outside, key: &str, order: &str, card: &str) -> Result<Got, reqwest::Error> {
    let sent = outside.charging(key, order, card).timeout(Duration::from_millis(250)).send().await;
    match sent {
        Ok(response) => Ok(read(response).await),
        Err(error) => Err(error),
    }
}

#[tokio::test]
async fn a_timeout_does_the_charge_and_a_repeat_is_answered() {
    let outside = Outside::with("authorise.timeout=100%").await;
    assert!(impatient(&outside, "k1", "order-1", "pm_card_visa").await.unwrap_err().is_timeout());
    assert_eq!(outside.kinds().await, ["authorised"]);
    let again = impatient(&outside, "k1", "order-1", "pm_card_visa").await.unwrap();
    assert_eq!((again.status, again.replayed), (200, true));
    assert_eq!(outside.cell("authorise", "timed_out").await, json!({ "count": 1, "examples": ["order-1"] }));
    assert_eq!(outside.kinds().await, ["authorised"]);
}

#[tokio::test]
async fn an_attempt_is_met_once_even_when_its_key_is_forgotten() {
    let outside = Outside::with("authorise.timeout=100%").await;
    impatient(&outside, "k1", "order-1", "pm_card_visa").await.unwrap_err();
    let outside = outside.restart().await;
    outside.clock.pass(Duration::from_secs(25 * 60 * 60));
    let second = impatient(&outside, "k1", "order-1", "pm_card_visa").await.unwrap();
    assert_eq!((second.status, second.replayed), (200, false));
    assert_eq!(outside.kinds().await, ["authorised", "authorised"]);
}

#[tokio::test]
async fn the_card_that_times_out_does_so_once() {
    let outside = Outside::start().await;
    assert!(impatient(&outside, "k1", "order-1", "pm_sandbox_timeout").await.unwrap_err().is_timeout());
    assert!(impatient(&outside, "k1", "order-1", "pm_sandbox_timeout").await.unwrap().replayed);
    assert_eq!(outside.kinds().await, ["authorised"]);
}

#[tokio::test]
async fn a_caller_that_hangs_up_is_charged_all_the_same() {
    let outside = Outside::start().await;
    assert!(impatient(&outside, "k1", "order-1", "pm_sandbox_slow").await.unwrap_err().is_timeout());
    let charged = async {
        while outside.kinds().await.is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), charged).await.expect("the charge is made");
    assert!(got(outside.charging("k1", "order-1", "pm_sandbox_slow")).await.replayed);
}

#[tokio::test]
async fn late_and_very_late_answers_come() {
    for (kind, least) in [("late", 30), ("very_late", 60)] {
        let outside = Outside::with(&format!("authorise.{kind}=100%")).await;
        let asked = Instant::now();
        assert_eq!(outside.charge("k1", "order-1").await.status, 200);
        assert!(asked.elapsed() >= Duration::from_millis(least));
        assert_eq!(outside.cell("authorise", kind).await["count"], 1);
    }
}

#[tokio::test]
async fn what_is_delivered_twice_is_done_once() {
    let outside = Outside::with("authorise.twice=100%,capture.twice=100%,book.twice=100%").await;
    let orders: Vec<String> = (0..50).map(|n| format!("order-{n}")).collect();
    let charged = join_all(orders.iter().map(|order| outside.charge(order, order))).await;
    assert!(charged.iter().all(|got| got.status == 200 && !got.replayed), "{charged:?}");
    for got in &charged {
        let key = format!("capture {}", got.id());
        assert_eq!(outside.ask(&key, got.id(), "capture").await.status, 200);
    }
    assert_eq!(got(outside.booking("k", "order-1")).await.status, 201);
    let totals = outside.get("/sandbox/book/totals").await.body["totals"].clone();
    for kind in ["authorised", "captured"] {
        assert_eq!(totals[kind], json!({ "count": 50, "amount_minor": { "gbp": 50 * 1999 } }));
    }
    assert_eq!(totals["shipment_booked"]["count"], 1);
    assert_eq!(outside.cell("authorise", "twice").await["count"], 50);
    assert_eq!(outside.cell("capture", "twice").await["count"], 50);
}

#[tokio::test]
async fn what_is_delivered_twice_without_a_key_is_done_twice() {
    let outside = Outside::with("book.twice=100%").await;
    let mut request = outside.booking("k", "order-1").build().unwrap();
    request.headers_mut().remove("Idempotency-Key");
    assert_eq!(outside.client.execute(request).await.unwrap().status(), 201);
    assert_eq!(outside.kinds().await, ["shipment_booked", "shipment_booked"]);
}

#[tokio::test]
async fn garbage_is_no_json_and_was_done() {
    let outside = Outside::with("book.garbage=100%").await;
    let garbage = got(outside.booking("k1", "order-1")).await;
    assert_eq!(garbage.status, 200);
    assert!(garbage.body.is_string());
    let again = got(outside.booking("k1", "order-1")).await;
    assert_eq!((again.status, again.replayed), (201, true));
    assert_eq!(outside.kinds().await, ["shipment_booked"]);
}

#[tokio::test]
async fn what_is_down_does_nothing() {
    let outside = Outside::with("authorise.down=100%").await;
    let (mut unavailable, mut reset) = (0, 0);
    for order in 0..20 {
        let order = format!("order-{order}");
        match outside.charging(&order, &order, "pm_card_visa").send().await {
            Ok(response) => {
                assert_eq!(response.status(), 503);
                unavailable += 1;
            }
            Err(error) => {
                assert!(error.is_request(), "{error:?}");
                reset += 1;
            }
        }
    }
    assert!(unavailable > 0 && reset > 0, "{unavailable} times 503, {reset} resets");
    assert!(outside.kinds().await.is_empty());
    assert_eq!(outside.cell("authorise", "down").await["count"], 20);
}

#[tokio::test]
async fn another_try_gets_through_what_was_down() {
    let outside = Outside::with("authorise.down=60%").await;
    for order in 0..10 {
        let order = format!("order-{order}");
        let mut tries = 1..100;
        let charged = loop {
            let this = tries.next().expect("one gets through").to_string();
            let request = outside.charging(&order, &order, "pm_card_visa").header("Banyan-Try", this);
            match request.send().await {
                Ok(response) if response.status() == 200 => break read(response).await,
                _ => {}
            }
        };
        assert!(!charged.replayed);
    }
    assert_eq!(outside.kinds().await, ["authorised"; 10]);
}

#[tokio::test]
async fn a_planned_refusal_holds_for_its_attempt_alone() {
    let outside = Outside::with("authorise.refuse=50%").await;
    let refused = |order: String| {
        let outside = &outside;
        async move { outside.charge(&order, &order).await.status == 402 }
    };
    let first: Vec<bool> = join_all((0..40).map(|n| refused(format!("order-{n}")))).await;
    assert!(first.contains(&true) && first.contains(&false));
    let other = Outside::with("authorise.refuse=50%").await;
    let mut backwards = Vec::new();
    for n in (0..40).rev() {
        let order = format!("order-{n}");
        backwards.insert(0, other.charge(&order, &order).await.status == 402);
    }
    assert_eq!(first, backwards);
}
