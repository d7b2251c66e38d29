//! I3: the database is lost, and the backup is older than what the gateway knows.

use std::{collections::BTreeSet, fs, time::Duration};

use banyan_lab::stage::{ShopClient, ShopProcess, until};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tokio::time::Instant;

use super::{Cast, ENDED, Row, Shown, baskets, open, played, processes_of_postgres};

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
    lose_database(&mut shop).await;
    let begun = Instant::now();
    done(&shop, &["restore", file]).await;
    shop.restart().await;
    let opened = begun.elapsed();
    shop.settled(&known, ENDED).await.unwrap_or_else(|why| panic!("{why}"));
    let named = only_strangers(&shop, AFTER).await;
    let again = shop.place_all(baskets("after", ASKED_AGAIN), 16).await;
    let adopted = again.iter().all(|order| after.contains(order));
    shop.settled(&again, ENDED).await.unwrap_or_else(|why| panic!("{why}"));
    let left = only_strangers(&shop, AFTER - ASKED_AGAIN).await;
    let book = shop.outside().book().await;
    let once = |order: &&String| book[*order].captured == 1 && book[*order].authorised == 1;
    let charged_once = known.iter().chain(&after).filter(once).count();
    let all = known.len() + after.len();
    let figure = format!(
        "{mib} MiB taken in {:.1} s while it sold; lost, restored and open again within {:.1} s; all {} orders of the backup ended; \
         the audit names {named} of {AFTER} that the gateway alone knows, and {left} after {} of them were asked again; \
         {charged_once} of {all} charged once",
        taken.as_secs_f64(),
        opened.as_secs_f64(),
        known.len(),
        again.len(),
    );
    let as_said = adopted && named == AFTER && left == AFTER - ASKED_AGAIN && charged_once == all;
    Shown { figure, as_said }
}

async fn done(shop: &ShopClient, args: &[&str]) {
    let output = shop.banyan(args).await;
    assert!(output.status.success(), "{args:?}: {output:?}");
}

/// As a disk takes it: the shop and the server die, and the files are gone. The outside lives on.
async fn lose_database(shop: &mut ShopProcess) {
    let server = processes_of_postgres(shop);
    shop.kill9().await;
    for pid in &server {
        // Whoever is gone by now needs no signal.
        let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
    }
    let lives = |pid: &i32| kill(Pid::from_raw(*pid), None).is_ok();
    until(Duration::from_secs(30), "the server to be gone", async || {
        (!server.iter().any(lives)).then_some(())
    })
    .await;
    fs::remove_dir_all(shop.data.join("postgres")).expect("the files can be deleted");
}

/// How many orders the audit names as nobody's, when it finds so many; nothing else may be untrue.
async fn only_strangers(shop: &ShopClient, expected: usize) -> usize {
    let mut last = Value::Null;
    until(ENDED, "an audit without open orders", async || {
        last = shop.audit().await;
        (last["open"] == 0).then_some(())
    })
    .await;
    let checks = last["checks"].as_array().expect("checks");
    let untrue: Vec<&Value> = checks.iter().filter(|check| check["violations"] != 0).collect();
    assert!(untrue.iter().all(|check| check["name"] == "once"), "{last:#}");
    let named = untrue.iter().filter_map(|check| check["named"].as_array()).flatten();
    let named: BTreeSet<String> = named.map(ToString::to_string).collect();
    assert!(named.iter().all(|what| what.contains("nobody placed")), "{named:#?}");
    let count: u64 = untrue.iter().filter_map(|check| check["violations"].as_u64()).sum();
    let count = usize::try_from(count).expect("few");
    println!("    the audit names {count} orders that nobody placed, {expected} were to be");
    count
}
