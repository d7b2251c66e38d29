//! I3: the database is lost, and the backup is older than what the gateway knows.

use std::fs;

use banyan_lab::stage::{ShopClient, ShopProcess, process::Process, until};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Cast, ENDED, Row, Shown, baskets, last_audit, open, played, processes_of_postgres};

pub const ROW: Row = Row {
    name: "I3",
    title: "the database is lost: restored from a backup, with the gateway ahead of it",
    says: [
        "60 orders ship, 20 are under way, a backup is taken, 30 more ship; then the database's files are deleted, and the backup restored.",
        "What the backup knows must end, charged once; the audit must name each of the 30; who asks again with the same key is adopted.",
    ],
    without: &[],
    file: "app/src/cli/backup.rs",
    play: |cast| Box::pin(play(cast)),
};

const SHIPPED: usize = 60;
const UNDER_WAY: usize = 20;
const AFTER: usize = 30;
const ASKED_AGAIN: usize = 10;

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let mut shop = open(&stage, cast.options(&[])).await;
    let (mut known, _) = played(&shop, "shipped", SHIPPED).await;
    known.extend(shop.place_all(baskets("under-way", UNDER_WAY), 16).await);
    let file = stage.folder().join("backup.tar");
    let file = file.to_str().expect("a path in UTF-8");
    let begun = Instant::now();
    done(&shop, &["backup", file]).await;
    let taken = begun.elapsed();
    let mib = fs::metadata(file).expect("the backup").len() >> 20;
    let (after, _) = played(&shop, "after", AFTER).await;
    let refunded = known[0].clone();
    let lost = refund(&shop, &refunded, "lost", 50).await;
    lose_database(&mut shop).await;
    let begun = Instant::now();
    done(&shop, &["restore", file]).await;
    shop.restart().await;
    let opened = begun.elapsed();
    shop.settled(&known, ENDED).await.unwrap_or_else(|why| panic!("{why}"));
    let regained = regained(&shop, &refunded, &lost).await;
    let named = only_strangers(&shop).await;
    let again = shop.place_all(baskets("after", ASKED_AGAIN), 16).await;
    let adopted = again.iter().all(|order| after.contains(order));
    shop.settled(&again, ENDED).await.unwrap_or_else(|why| panic!("{why}"));
    let left = only_strangers(&shop).await;
    let book = shop.outside().book().await;
    let once = |order: &&String| book[*order].captured == 1 && book[*order].authorised == 1;
    let charged_once = known.iter().chain(&after).filter(once).count();
    let all = known.len() + after.len();
    let figure = format!(
        "{mib} MiB taken in {:.1} s while it sold; lost, restored and open again within {:.1} s; all {} orders of the backup ended; \
         the audit names {named} of {AFTER} that the gateway alone knows, and {left} after {} of them were asked again; \
         {charged_once} of {all} charged once; a refund that the backup does not know was found and {}",
        taken.as_secs_f64(),
        opened.as_secs_f64(),
        known.len(),
        again.len(),
        if regained { "given once" } else { "NOT kept apart from others" },
    );
    let as_said = regained && adopted && named == AFTER && left == AFTER - ASKED_AGAIN && charged_once == all;
    Shown { figure, as_said }
}

/// Gives back under a key; what was answered.
async fn refund(shop: &ShopClient, order: &str, key: &str, amount: i64) -> (u16, Value) {
    let body = json!({"amount_minor": amount, "reason": "arrived broken"});
    let token = shop.staff_token().await;
    until(ENDED, "the refund to be answered", async || {
        let answer = shop.post(&format!("/v1/orders/{order}/refunds"), &token, key, &body).await;
        (answer.0 != 503).then_some(answer)
    })
    .await
}

/// Whether the refund that the backup does not know is found, given once to who asks again with its key, and kept apart from one of
/// the same amount under another.
async fn regained(shop: &ShopClient, order: &str, (status, lost): &(u16, Value)) -> bool {
    let path = format!("/v1/orders/{order}/refunds");
    let token = shop.staff_token().await;
    let list = async || shop.get(&path, &token).await.1["refunds"].as_array().cloned().unwrap_or_default();
    until(ENDED, "the lost refund to be found", async || (list().await.len() == 1).then_some(())).await;
    let again = refund(shop, order, "lost", 50).await;
    let other = refund(shop, order, "another", 50).await;
    let list = list().await;
    let given: i64 = list.iter().filter_map(|one| one["amount"]["minor"].as_i64()).sum();
    let book = shop.outside().book().await[order].refunded;
    println!(
        "    refunds: first {status}, again {}, another {}; the shop knows {given}, the gateway {book}",
        again.0, other.0
    );
    *status == 201
        && again.0 == 201
        && again.1["amount"] == lost["amount"]
        && other.0 == 201
        && given == 100
        && book == 2
}

async fn done(shop: &ShopClient, args: &[&str]) {
    let output = shop.banyan(args).await;
    assert!(output.status.success(), "{args:?}: {output:?}");
}

/// As a disk takes it: the shop and the server die, and the files are gone. The outside lives on.
async fn lose_database(shop: &mut ShopProcess) {
    let server: Vec<Process> = processes_of_postgres(shop).into_iter().filter_map(Process::now).collect();
    shop.kill9().await;
    server.iter().for_each(|process| process.signal(Signal::SIGKILL));
    until(ENDED, "the server to be gone", async || (!server.iter().any(Process::lives)).then_some(())).await;
    fs::remove_dir_all(shop.data.join("postgres")).expect("the files can be deleted");
}

/// How many orders the audit names as nobody's; nothing else may be untrue.
async fn only_strangers(shop: &ShopClient) -> usize {
    let audit = last_audit(shop).await;
    let checks = audit["checks"].as_array().expect("checks");
    let untrue: Vec<&Value> = checks.iter().filter(|check| check["violations"] != 0).collect();
    assert!(untrue.iter().all(|check| check["name"] == "once"), "{audit:#}");
    let mut named = untrue.iter().filter_map(|check| check["named"].as_array()).flatten();
    assert!(named.all(|what| what.to_string().contains("nobody placed")), "{audit:#}");
    let count: u64 = untrue.iter().filter_map(|check| check["violations"].as_u64()).sum();
    println!("    the audit names {count} orders that nobody placed");
    usize::try_from(count).expect("few")
}
