//! What the gateway tells of its own accord, by who hears it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use axum::Router;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::post;
use banyan_sandbox::Webhook;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;
use tokio::sync::mpsc;

use crate::outside::{Outside, got};

const KEY: &str = "whsec_test";

/// Hears events; the first few are answered 503.
struct Ear {
    url: Uri,
    heard: mpsc::UnboundedReceiver<(HeaderMap, String)>,
}

impl Ear {
    async fn open(deaf: u32) -> Self {
        let (tell, heard) = mpsc::unbounded_channel();
        let left = Arc::new(AtomicU32::new(deaf));
        let hear = move |headers: HeaderMap, body: String| async move {
            tell.send((headers, body)).unwrap();
            let deaf = left.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
            if deaf { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::NO_CONTENT }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap()).parse().unwrap();
        let router = Router::new().route("/hook", post(hear));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, heard }
    }

    fn wants(&self, events: &[&str], faults: &str) -> Webhook {
        let events = events.iter().map(|event| (*event).to_owned()).collect();
        Webhook { url: self.url.clone(), secret: KEY.to_owned(), events, faults: faults.parse().unwrap() }
    }

    /// The next event, whose signature is right.
    async fn next(&mut self) -> Value {
        let (headers, body) = self.heard.recv().await.unwrap();
        let signature = headers["stripe-signature"].to_str().unwrap();
        let (time, signed) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).unwrap();
        mac.update(format!("{time}.{body}").as_bytes());
        mac.verify_slice(&hex::decode(signed).unwrap()).unwrap();
        serde_json::from_str(&body).unwrap()
    }
}

/// Takes money of an order and gives a part of it back.
async fn refund(outside: &Outside, order: &str, amount: &str) -> String {
    let charge = outside.charge(&format!("{order}/authorise"), order).await;
    outside.ask(&format!("{order}/capture"), charge.id(), "capture").await;
    let fields = [("payment_intent", charge.id()), ("amount", amount)];
    let refund = got(outside.form("/v1/refunds", &format!("{order}/refund"), &fields)).await;
    assert_eq!(refund.status, 200, "{refund:?}");
    charge.id().to_owned()
}

const REFUNDED: [&str; 1] = ["charge.refunded"];

#[tokio::test]
async fn what_is_wanted_is_told_until_it_is_taken_and_not_again_after_a_restart() {
    let mut ear = Ear::open(2).await;
    let webhook = ear.wants(&REFUNDED, "none");
    let outside = Outside::tweaked(|config| config.webhook = Some(webhook)).await;
    let intent = refund(&outside, "a", "500").await;
    let first = ear.next().await;
    assert_eq!((&first["type"], &first["object"]), (&"charge.refunded".into(), &"event".into()));
    let charge = &first["data"]["object"];
    assert_eq!((&charge["payment_intent"], &charge["metadata"]["order"]), (&intent.into(), &"a".into()));
    assert_eq!((&charge["amount_refunded"], &charge["refunded"]), (&500.into(), &false.into()));
    assert_eq!(ear.next().await["id"], first["id"], "it was not taken");
    assert_eq!(ear.next().await["id"], first["id"], "nor then");
    refund(&outside, "b", "1999").await;
    let second = ear.next().await;
    assert_ne!(second["id"], first["id"]);
    assert_eq!(second["data"]["object"]["refunded"], true);
    refund(&outside, "c", "1").await;
    let third = ear.next().await;
    let outside = outside.restart().await;
    refund(&outside, "d", "1").await;
    let mut next = ear.next().await;
    if next["id"] == third["id"] {
        // The stop came between its being taken and that being noted.
        next = ear.next().await;
    }
    assert_eq!(next["data"]["object"]["metadata"]["order"], "d");
    outside.stop().await;
}

#[tokio::test]
async fn each_kind_has_its_event_and_any_may_come_twice() {
    let mut ear = Ear::open(0).await;
    let wanted = [
        "payment_intent.amount_capturable_updated",
        "payment_intent.succeeded",
        "payment_intent.canceled",
        "payment_intent.payment_failed",
    ];
    let webhook = ear.wants(&wanted, "twice=100%");
    let outside = Outside::tweaked(|config| config.webhook = Some(webhook)).await;
    let charge = outside.charge("1", "a").await;
    outside.ask("2", charge.id(), "capture").await;
    let other = outside.charge("3", "b").await;
    outside.ask("4", other.id(), "cancel").await;
    got(outside.charging("5", "c", "pm_card_chargeDeclined")).await;
    let mut told = Vec::new();
    for _ in 0..10 {
        let event = ear.next().await;
        told.push((event["type"].as_str().unwrap().to_owned(), event["id"].as_str().unwrap().to_owned()));
    }
    told.sort();
    let pairs = told.chunks(2);
    assert!(pairs.clone().all(|pair| pair[0] == pair[1]), "{told:?}");
    let kinds: Vec<&str> = pairs.map(|pair| pair[0].0.as_str()).collect();
    assert_eq!(kinds, [wanted[0], wanted[0], wanted[2], wanted[3], wanted[1]]);
    outside.stop().await;
}

#[tokio::test]
async fn a_late_event_is_told_after_one_that_happened_later() {
    let mut ear = Ear::open(0).await;
    let webhook = ear.wants(&REFUNDED, "late=50%");
    let outside = Outside::tweaked(|config| (config.webhook, config.late_ms) = (Some(webhook), 300)).await;
    let mut happened = Vec::new();
    let mut told = Vec::new();
    for n in 0..12 {
        refund(&outside, &format!("order-{n}"), "1").await;
        happened.push(format!("order-{n}"));
    }
    for _ in 0..12 {
        told.push(ear.next().await["data"]["object"]["metadata"]["order"].as_str().unwrap().to_owned());
    }
    assert_ne!(told, happened);
    told.sort();
    happened.sort();
    assert_eq!(told, happened, "and none is lost");
    outside.stop().await;
}

#[test]
fn faults_are_read_strictly() {
    for good in ["none", "twice=1%", "late=0.5%,twice=100%"] {
        good.parse::<banyan_sandbox::WebhookFaults>().unwrap();
    }
    for bad in ["", "twice", "twice=1", "thrice=1%", "late=101%"] {
        bad.parse::<banyan_sandbox::WebhookFaults>().expect_err(bad);
    }
}

#[tokio::test]
async fn a_card_that_disputes_is_told_of_once_it_is_taken() {
    let mut ear = Ear::open(0).await;
    let webhook = ear.wants(&["charge.dispute.created"], "none");
    let outside = Outside::tweaked(|config| config.webhook = Some(webhook)).await;
    refund(&outside, "quiet", "1").await;
    let charge = got(outside.charging("k1", "a", "pm_card_createDispute")).await;
    let list = format!("/v1/disputes?payment_intent={}", charge.id());
    assert_eq!(outside.get(&list).await.body["data"], serde_json::json!([]));
    outside.ask("k2", charge.id(), "capture").await;
    let told = ear.next().await;
    let dispute = &told["data"]["object"];
    assert_eq!(
        (&told["type"], &dispute["status"]),
        (&"charge.dispute.created".into(), &"needs_response".into())
    );
    assert_eq!(dispute["payment_intent"], charge.id());
    assert_eq!(&outside.get(&list).await.body["data"][0], dispute);
    assert_eq!(outside.get("/v1/disputes").await.status, 400);
    outside.stop().await;
}
