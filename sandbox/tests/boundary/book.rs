//! The book: what it says, and that it is all there is.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

use futures::future::join_all;

use crate::outside::{Outside, got};

#[tokio::test]
async fn a_line_says_who_asked_and_what_happened() {
    let outside = Outside::start().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let request = outside.charging("k1", "order-1", "pm_card_visa");
    let charged = got(request.header("traceparent", trace).header("Banyan-Correlation", "corr-1")).await;
    let line = &outside.get("/sandbox/book/orders/order-1").await.body["entries"][0];
    assert_eq!(line["kind"], "authorised");
    assert_eq!(line["id"], charged.id());
    assert_eq!(line["offset"], 0);
    assert_eq!(line["at"], "2026-01-05T09:00:00Z");
    assert_eq!((line["order"].as_str(), line["step"].as_str()), (Some("order-1"), Some("authorise")));
    assert_eq!((line["amount_minor"].as_i64(), line["currency"].as_str()), (Some(1999), Some("gbp")));
    assert_eq!((line["key"].as_str(), line["attempt"].as_i64()), (Some("k1"), Some(1)));
    assert_eq!(line["correlation"], "corr-1");
    assert_eq!(line["trace"], "4bf92f3577b34da6a3ce929d0e0e4736");
}

#[tokio::test]
async fn pages_follow_each_other_without_gap_or_overlap() {
    let outside = Outside::start().await;
    for n in 0..7 {
        outside.charge(&format!("k{n}"), &format!("order-{n}")).await;
    }
    let (mut since, mut orders) = (0, Vec::new());
    loop {
        let page = outside.get(&format!("/sandbox/book?since={since}&limit=3")).await.body;
        let entries = page["entries"].as_array().unwrap();
        orders.extend(entries.iter().map(|entry| entry["order"].as_str().unwrap().to_owned()));
        since = page["next"].as_u64().unwrap();
        if !page["more"].as_bool().unwrap() {
            break;
        }
    }
    assert_eq!(orders, (0..7).map(|n| format!("order-{n}")).collect::<Vec<_>>());
    for nowhere in [since + 1, since - 5] {
        assert_eq!(outside.get(&format!("/sandbox/book?since={nowhere}")).await.status, 400);
    }
}

#[tokio::test]
async fn all_is_rebuilt_from_the_book() {
    let outside = Outside::with("book.refuse=100%,capture.late=100%").await;
    let charged = outside.charge("k1", "order-1").await;
    let captured = outside.ask("k2", charged.id(), "capture").await;
    got(outside.form("/v1/refunds", "k3", &[("payment_intent", charged.id()), ("amount", "9")])).await;
    got(outside.charging("k4", "order-2", "pm_card_chargeDeclined")).await;
    got(outside.booking("k5", "order-1")).await;
    let paths = [
        "/sandbox/book",
        "/sandbox/book/totals",
        "/sandbox/book/orders/order-1",
        "/v1/payment_intents/search?query=metadata['order']:'order-1'",
        &format!("/v1/refunds?payment_intent={}", charged.id()),
    ];
    let mut before = Vec::new();
    for path in paths {
        before.push(outside.get(path).await.body);
    }
    let faults = outside.get("/sandbox/faults").await.body["steps"].clone();
    let outside = outside.restart().await;
    for (path, before) in paths.iter().zip(before) {
        assert_eq!(outside.get(path).await.body, before, "{path}");
    }
    assert_eq!(outside.get("/sandbox/faults").await.body["steps"], faults);
    let again = outside.ask("k2", charged.id(), "capture").await;
    assert!(again.replayed);
    assert_eq!(again.body, captured.body);
    assert_eq!(outside.charge("k1", "order-9").await.code(), "idempotency_key_reused");
    outside.clock.pass(Duration::from_secs(24 * 60 * 60));
    assert!(!outside.charge("k1", "order-1").await.replayed);
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off() {
    let outside = Outside::start().await;
    outside.charge("k1", "order-1").await;
    let book = outside.folder().join("book/book.jsonl");
    let (folder, clock) = outside.stop().await;
    let whole = std::fs::read(&book).unwrap();
    let mut file = OpenOptions::new().append(true).open(&book).unwrap();
    file.write_all(&whole[..whole.len() / 2]).unwrap();
    let outside = Outside::start_in(folder, clock).await.unwrap();
    assert_eq!(std::fs::read(&book).unwrap(), whole);
    outside.charge("k2", "order-2").await;
    assert_eq!(outside.restart().await.kinds().await, ["authorised", "authorised"]);
}

#[tokio::test]
async fn any_other_broken_line_is_an_error_that_says_where() {
    let outside = Outside::start().await;
    outside.charge("k1", "order-1").await;
    outside.charge("k2", "order-2").await;
    let book = outside.folder().join("book/book.jsonl");
    let (folder, clock) = outside.stop().await;
    let whole = std::fs::read_to_string(&book).unwrap();
    let second = whole.find('\n').unwrap() + 1;
    let form = whole.replacen("{\"v\":1,", "{\"v\":2,", 1);
    for (broken, says) in [
        (whole.replacen("order-2\",\"step", "order-2,\"step", 1), format!("line 2 (offset {second})")),
        (form, "line 1 (offset 0): its form is 2, this sandbox reads 1".to_owned()),
    ] {
        std::fs::write(&book, &broken).unwrap();
        let error = Outside::start_in(folder.clone(), clock.clone()).await.err().unwrap().to_string();
        assert!(error.contains(&says), "{error}");
        assert_eq!(std::fs::read_to_string(&book).unwrap(), broken);
    }
}

#[tokio::test]
async fn a_book_has_one_writer() {
    let outside = Outside::start().await;
    let (folder, clock) = (outside.folder().to_owned(), outside.clock.clone());
    let mut config = banyan_sandbox::Config::new(folder.join("book"), "sk_other", "other");
    config.seed = 7;
    let second = banyan_sandbox::serve(config, clock, |_| (), std::future::ready(())).await;
    assert!(second.unwrap_err().to_string().contains("in use by another sandbox"));
}

#[tokio::test]
async fn whoever_was_answered_is_in_the_file() {
    let outside = Outside::start().await;
    let book = outside.folder().join("book/book.jsonl");
    let charges = (0..100).map(|n| {
        let (outside, book) = (&outside, &book);
        async move {
            let charged = outside.charge(&format!("k{n}"), &format!("order-{n}")).await;
            let text = std::fs::read_to_string(book).unwrap();
            assert!(text.contains(charged.id()), "charge {n} was answered before it was written");
        }
    });
    join_all(charges).await;
}
