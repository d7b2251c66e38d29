//! Whole replays against the fake shop.

use std::{fs, path::PathBuf, sync::Arc, time::Duration};

use banyan_kernel::CustomerId;
use serde_json::{Value, json};
use time::macros::datetime;

use super::{fake::FakeShop, *};

const HEADER: &str = r#"{"banyan-replay":1,"id":"corner","currency":"USD","baskets":4}"#;

fn product(sku: &str, stock: u32) -> String {
    format!(
        r#"{{"product":{{"sku":"{sku}","name":"MILK","category":"DAIRY","price_minor":125,"stock":{stock}}}}}"#
    )
}

fn basket(key: &str, sku: &str, payment_method: &str) -> String {
    format!(
        r#"{{"basket":{{"key":"{key}","customer":"H{key}","lines":[{{"sku":"{sku}","quantity":2}}],"payment_method":"{payment_method}"}}}}"#
    )
}

/// Two products, and four baskets of every fate.
fn small_file() -> Vec<String> {
    vec![
        HEADER.to_owned(),
        product("P1", 9),
        product("P2", 0),
        basket("B1", "P1", "pm_card_visa"),
        basket("B2", "P1", "pm_card_chargeDeclined"),
        basket("B3", "NOSUCH", "pm_card_visa"),
        basket("B4", "P1", "pm_sandbox_slow"),
    ]
}

struct Stage {
    shop: FakeShop,
    folder: tempfile::TempDir,
}

impl Stage {
    async fn new() -> Self {
        Self { shop: FakeShop::start().await, folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self, lines: &[String]) -> PathBuf {
        let path = self.folder.path().join("file.jsonl");
        fs::write(&path, lines.join("\n")).unwrap();
        path
    }

    fn options(&self, lines: &[String]) -> Options {
        let mint = Arc::new(|customer: CustomerId| format!("customer-{customer}"));
        let started_at = datetime!(2026-01-02 03:04:05 UTC);
        let mut options =
            Options::new(self.file(lines), self.shop.url.clone(), "staff".to_owned(), mint, started_at);
        options.admin_url = Some(self.shop.url.clone());
        options.patience.back_off = Duration::from_millis(1);
        options.patience.poll = Duration::from_millis(1);
        options
    }
}

async fn play(options: Options) -> Report {
    run(options, &Silent).await.unwrap().report
}

fn count(report: &Report, outcome: &str, cause: Option<&str>) -> u64 {
    let found = report.outcomes.iter().find(|row| row.outcome == outcome && row.cause.as_deref() == cause);
    found.map_or(0, |row| row.count)
}

#[tokio::test]
async fn a_replay_brings_in_the_catalogue_plays_every_basket_and_follows_it_to_its_end() {
    let stage = Stage::new().await;
    let report = play(stage.options(&small_file())).await;
    assert_eq!(report.exit, Exit::Clean);
    assert_eq!(report.products, 2);
    assert_eq!(report.tally.done, 4);
    assert_eq!(count(&report, "shipped", None), 2);
    assert_eq!(count(&report, "cancelled", Some("card_declined")), 1);
    assert_eq!(count(&report, "refused", Some("unknown_product")), 1);
    assert_eq!(report.revenue_minor, 500);
    assert_eq!(report.judged, Judged::Full);
    let shipping = report.shipping.unwrap();
    assert!((shipping.p50_ms - 500.0).abs() < 1.0, "{shipping:?}");

    let book = stage.shop.book();
    let put = book.asked("/v1/products");
    assert_eq!(put[0].token, "Bearer staff");
    assert_eq!(put[0].body["products"][0]["price_minor"], 125);
    assert_eq!(put[0].body["products"][1]["currency"], "USD");
    assert_eq!(book.asked("/v1/stock/receipts")[0].body, json!({"lines": [{"sku": "P1", "quantity": 9}]}));
    let first = book.asked("/v1/orders").into_iter().find(|request| request.key == "replay-1-B1").unwrap();
    assert_eq!(first.token, format!("Bearer customer-{}", drive::customer("HB1")));
    assert_eq!(
        first.body,
        json!({"lines": [{"sku": "P1", "quantity": 2}], "payment_method": "pm_card_visa"})
    );
}

#[tokio::test]
async fn what_must_stay_cold_is_received_at_the_cold_store_unless_it_stands_elsewhere() {
    let stage = Stage::new().await;
    let mut lines = small_file();
    lines.insert(1, product("P3", 4).replace("DAIRY", "FROZEN GROCERY"));
    play(stage.options(&lines)).await;
    stage.shop.book().stands_elsewhere = true;
    play(Options { run: 2, ..stage.options(&lines) }).await;
    let book = stage.shop.book();
    let receipts: Vec<Value> = book.asked("/v1/stock/receipts").into_iter().map(|asked| asked.body).collect();
    let warm = json!({"lines": [{"sku": "P1", "quantity": 9}]});
    let cold = json!({"lines": [{"sku": "P3", "quantity": 4}], "place": "cold-store"});
    let there = json!({"lines": [{"sku": "P3", "quantity": 4}]});
    assert_eq!(receipts, [warm.clone(), cold.clone(), warm, cold, there]);
}

#[tokio::test]
async fn the_same_run_again_doubles_nothing_and_another_run_is_another_series() {
    let stage = Stage::new().await;
    let first = play(stage.options(&small_file())).await;
    let kept = stage.shop.book().answers.clone();
    let again = play(stage.options(&small_file())).await;
    assert_eq!(stage.shop.book().answers, kept, "no key of the second time is new");
    assert_eq!((first.tally.replayed, again.tally.replayed, again.tally.accepted), (0, 3, 3));
    assert_eq!((again.accepted_per_s, again.shipped_per_s), (None, None));
    assert!(again.text().contains("3 of them were accepted by an earlier replay"));
    assert_eq!(again.outcomes, first.outcomes);

    play(Options { run: 2, ..stage.options(&small_file()) }).await;
    assert_eq!(stage.shop.book().orders(), 6);
    assert_eq!(stage.shop.book().answers.len(), kept.len() * 2);
}

#[tokio::test]
async fn what_may_change_is_asked_again_with_the_same_key_and_what_may_not_is_an_outcome() {
    let stage = Stage::new().await;
    stage.shop.book().troubles.extend([503, 409, 429, 500, 400]);
    let lines = [
        HEADER.to_owned(),
        product("P1", 9),
        basket("B1", "P1", "pm_card_visa"),
        basket("B2", "P1", "pm_card_visa"),
    ];
    let report = play(Options { in_flight: 1, ..stage.options(&lines) }).await;
    assert_eq!(report.tally.retries, 4);
    assert_eq!(count(&report, "refused", Some("trouble")), 1);
    let asked = stage.shop.book().asked("/v1/orders");
    let keys: Vec<_> = asked.iter().map(|request| request.key.as_str()).collect();
    assert_eq!(keys, [["replay-1-B1"; 5].as_slice(), &["replay-1-B2"]].concat());
}

/// No sooner than that; how much later is the machine's affair.
#[tokio::test]
async fn baskets_begin_no_faster_than_is_asked_for() {
    let stage = Stage::new().await;
    let began = tokio::time::Instant::now();
    play(Options { per_second: Some(20), ..stage.options(&small_file()) }).await;
    assert_eq!(stage.shop.book().asked("/v1/orders").len(), 4);
    assert!(
        began.elapsed() >= Duration::from_millis(150),
        "four baskets, three times a twentieth of a second between them"
    );
}

#[tokio::test]
async fn broken_lines_are_skipped_or_stop_a_strict_replay() {
    let stage = Stage::new().await;
    let mut lines = small_file();
    lines.insert(4, "{".to_owned());
    let report = play(stage.options(&lines)).await;
    assert_eq!((report.exit, report.skipped, report.tally.done), (Exit::SomeSkipped, 1, 4));
    assert_eq!(report.broken[0].line, 5);

    let report = play(Options { strict: true, run: 2, ..stage.options(&lines) }).await;
    assert_eq!((report.exit, report.stopped_at, report.tally.done), (Exit::StrictStop, Some(5), 1));
    assert!(report.text().contains("Exit code 4: stopped at line 5"));
}

#[tokio::test]
async fn the_limit_counts_baskets() {
    let stage = Stage::new().await;
    let report = play(Options { limit: Some(1), ..stage.options(&small_file()) }).await;
    assert_eq!((report.tally.done, stage.shop.book().orders()), (1, 1));
}

#[tokio::test]
async fn orders_that_stay_open_are_an_error_that_still_has_its_report() {
    let stage = Stage::new().await;
    stage.shop.book().stands_still = true;
    let mut options = stage.options(&small_file());
    options.patience.stall = Duration::from_millis(5);
    let error = run(options, &Silent).await.unwrap_err();
    assert_eq!(stage.shop.book().looks, 6, "the first look and one after each wait");
    assert_eq!(error.exit().code(), 1);
    assert!(error.to_string().starts_with("3 orders are still open"), "{error}");
    assert!(error.to_string().ends_with("banyan order stuck"), "{error}");
    assert_eq!(error.report().unwrap().open, 3);
}

#[tokio::test]
async fn a_shop_that_stops_answering_at_the_end_leaves_a_report_that_says_so() {
    let stage = Stage::new().await;
    stage.shop.book().faults = json!(7);
    let report = play(stage.options(&small_file())).await;
    assert_eq!(
        (report.exit, report.tally.shipped, report.judged.clone()),
        (Exit::Failed, 2, Judged::NoTable)
    );
    assert!(report.text().contains("the shop stopped answering: GET /admin/faults"), "{}", report.text());
}

#[tokio::test]
async fn a_stuck_order_is_reported_and_not_waited_for() {
    let stage = Stage::new().await;
    let lines = [HEADER.to_owned(), basket("B1", "P1", "pm_stuck"), basket("B2", "P1", "pm_card_visa")];
    let report = play(stage.options(&lines)).await;
    assert_eq!((report.tally.stuck, report.open, report.exit), (1, 0, Exit::Clean));
    assert!(report.text().contains("banyan order stuck"));
}

#[tokio::test]
async fn files_and_options_that_are_no_good_have_an_exit_code_of_their_own() {
    let stage = Stage::new().await;
    let good = stage.options(&small_file());
    let empty = stage.folder.path().join("empty");
    fs::write(&empty, "").unwrap();
    let missing = stage.folder.path().join("missing");
    let bad = [
        Options { file: missing, ..good.clone() },
        Options { file: empty, ..good.clone() },
        Options { file: stage.folder.path().to_owned(), ..good.clone() },
        Options { in_flight: 0, ..good.clone() },
        Options { per_second: Some(0), ..good.clone() },
        Options { limit: Some(0), ..good.clone() },
        Options { base_url: "shop".to_owned(), ..good },
    ];
    for options in bad {
        let error = run(options, &Silent).await.unwrap_err();
        assert_eq!(error.exit().code(), 2, "{error}");
    }
    assert!(stage.shop.book().requests.is_empty());
}

#[tokio::test]
async fn a_shop_that_is_gone_ends_the_replay() {
    let stage = Stage::new().await;
    let lines: Vec<_> = std::iter::once(HEADER.to_owned())
        .chain((0..100).map(|n| basket(&format!("B{n}"), "P1", "pm_card_visa")))
        .collect();
    let mut options = stage.options(&lines);
    (options.in_flight, options.patience.tries_max) = (4, 2);
    drop(stage.shop);
    let error = run(options, &Silent).await.unwrap_err();
    assert_eq!(error.exit(), Exit::Failed);
    assert!(error.to_string().contains("8 baskets in a row had no answer"), "{error}");
}

#[tokio::test]
async fn an_empty_cell_has_an_exit_code_of_its_own_unless_it_is_allowed() {
    let stage = Stage::new().await;
    stage.shop.book().faults["book"]["late"] = json!({"count": 0});
    let options = stage.options(&small_file());
    for (allow_empty_cells, exit) in [(false, Exit::EmptyCell), (true, Exit::Clean)] {
        let report = play(Options { allow_empty_cells, ..options.clone() }).await;
        assert_eq!((report.exit, report.judged), (exit, Judged::Empty(vec!["book/late".to_owned()])));
    }
}

#[tokio::test]
async fn without_an_admin_address_orders_are_not_followed() {
    let stage = Stage::new().await;
    let report = play(Options { admin_url: None, ..stage.options(&small_file()) }).await;
    assert_eq!(count(&report, "accepted", None), 3);
    assert_eq!((report.judged, report.exit), (Judged::NoTable, Exit::Clean));
}

#[tokio::test]
async fn the_report_is_kept_as_json_and_read_back_whole() {
    let stage = Stage::new().await;
    let path = stage.folder.path().join("report.json");
    let report = play(Options { report_file: Some(path.clone()), ..stage.options(&small_file()) }).await;
    let kept: Report = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(kept.text(), report.text());
    assert_eq!(kept.head().lines().count(), 5);
}

/// The committed sample, as far as it can be checked without a shop.
#[test]
fn the_committed_sample_is_whole() {
    let file = include_bytes!("../../sample/sample.jsonl");
    assert!(file.len() <= 2_000_000);
    let (header, mut reader) = Reader::open(file.as_slice()).unwrap();
    let (mut products, mut baskets) = (0, 0);
    while let Some(item) = reader.next_record().unwrap() {
        match item.unwrap() {
            Record::Product(_) => products += 1,
            Record::Basket(_) => baskets += 1,
        }
    }
    assert_eq!((header.products, header.baskets), (Some(products), Some(baskets)));
    assert!(baskets >= 2_000, "enough to meet every fault at every step");
}

#[test]
fn the_report_reads_like_this() {
    let order = |n: u128| uuid::Uuid::from_u128(n).to_string();
    let report: Report = serde_json::from_value(json!({
        "file": "sample.jsonl", "file_id": "corner", "run": 1, "started_at": "2026-01-02T03:04:05Z", "products": 9915,
        "tally": {"done": 2450, "accepted": 2448, "replayed": 0, "refused": 2, "unanswered": 0, "retries": 12,
                  "shipped": 2310, "cancelled": 137, "stuck": 1},
        "open": 0, "trouble": null,
        "outcomes": [
            {"outcome": "shipped", "cause": null, "count": 2310},
            {"outcome": "cancelled", "cause": "out_of_stock", "count": 104},
            {"outcome": "cancelled", "cause": "card_declined", "count": 33},
            {"outcome": "stuck", "cause": null, "count": 1},
            {"outcome": "refused", "cause": "unknown_product", "count": 2}],
        "unanswered": null, "skipped": 1, "broken": [{"line": 7, "why": "expected value, column 1"}], "stopped_at": null,
        "faults": {"steps": {"reserve": {"refused": {"count": 104}, "timed_out": {"count": 1234}}}},
        "judged": {"empty": ["book/late", "capture/twice"]},
        "acceptance": {"count": 2448, "p50_ms": 8.25, "p90_ms": 20.0, "p99_ms": 55.5, "p999_ms": 90.0, "max_ms": 91.0},
        "shipping": {"count": 2310, "p50_ms": 120.0, "p90_ms": 400.0, "p99_ms": 2100.4, "p999_ms": 5000.0, "max_ms": 12345.6},
        "accepted_per_s": 812.34, "shipped_per_s": 640.1, "yardstick": {"per_s": 2000.0, "ratio": 0.32005},
        "revenue_minor": 5_812_345, "split": 81, "currency": "USD",
        "look_at": [{"what": "the slowest to be shipped (12346 ms)", "order": order(7)}, {"what": "compensated", "order": null}],
        "exit": "empty_cell"
    }))
    .unwrap();
    insta::assert_snapshot!(report.text(), @r"
    Replay of sample.jsonl (corner), run 1, started 2026-01-02 03:04:05 UTC
      2,450 baskets: 2,448 accepted, 2 refused, 12 asked again, 2,310 shipped, 137 cancelled, 1 stuck, 1 lines skipped
      first-time orders: accepted 812.3/s, shipped 640.1/s, 0.32 of the yardstick
      placed to shipped: p50 120 ms, p90 400 ms, p99 2100 ms, p99.9 5000 ms
      revenue 58,123.45 USD from 2,310 shipped orders, 81 of them in several parcels

    Baskets by outcome
      shipped                                          2,310  94.29 %
      cancelled: out_of_stock                            104   4.24 %
      cancelled: card_declined                            33   1.35 %
      stuck                                                1   0.04 %
      refused: unknown_product                             2   0.08 %
      stuck orders wait for a person: banyan order stuck

    Steps, counted since the shop's data folder was made (not of this run alone)
      step                     refused  timed out but done                late               twice
      reserve                      104               1,234                   0                   0
      authorise                      0                   0                   0                   0
      confirm                        0                   0                   0                   0
      book                           0                   0                   0                   0
      capture                        0                   0                   0                   0
      EMPTY: book/late, capture/twice

    Milliseconds                               p50       p90       p99     p99.9   longest
      basket sent to accepted, here            8.2      20.0      55.5      90.0      91.0
      placed to shipped, by the shop         120.0     400.0    2100.4    5000.0   12345.6

    Rates and revenue
      accepted a second                 812.3
      shipped a second                  640.1
      ratio to the yardstick            0.320 (2000 orders a second as bare rows, without a shop)
      revenue, shipped orders           58,123.45 USD

    Orders to look at
      the slowest to be shipped (12346 ms)  banyan order show 00000000-0000-0000-0000-000000000007
      compensated                           none in this run

    Broken lines: 1
      line 7: expected value, column 1

    Exit code 5: the step table has empty cells (too small a sample? --allow-empty-cells)
    ");
}
