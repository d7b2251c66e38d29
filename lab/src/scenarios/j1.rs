//! J1: one binary is the whole shop.

use std::{collections::BTreeMap, fs};

use super::{Cast, Row, Shown, count, findings, in_words, open, played, processes_of_postgres};

pub const ROW: Row = Row {
    name: "J1",
    title: "one binary runs the whole shop: six modules, its database and an outside world as its children",
    says: [
        "The shop is started with nothing set; 50 orders are shipped.",
        "Then its processes are listed, with what they listen on and the memory they hold.",
    ],
    without: &[],
    file: "app/src/shop.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 50;

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let shop = open(&stage, cast.options(&[])).await;
    let (_, ended) = played(&shop, "j1", ORDERS).await;
    let found = findings(&shop).await;
    let mut kinds: BTreeMap<&str, (Vec<i32>, u64)> = BTreeMap::new();
    let servers = processes_of_postgres(&shop);
    let others = stage.processes().into_iter().filter(|pid| !servers.contains(pid));
    for pid in others.chain(servers.iter().copied()) {
        let name = match pid {
            _ if pid == shop.pid => "shop",
            _ if servers.contains(&pid) => "postgres",
            _ => "sandbox",
        };
        let kind = kinds.entry(name).or_default();
        kind.0.push(pid);
        kind.1 += memory_kib(pid);
    }
    let outside = shop.outside().address;
    println!("    process    how many  memory MiB  listens on");
    for (name, (pids, kib)) in &kinds {
        let listens = match *name {
            "shop" => format!("{} and {}", shop.api, shop.admin),
            "postgres" => "a socket in the data folder".to_owned(),
            _ => outside.clone(),
        };
        println!("    {name:<10} {:>8} {:>11.1}  {listens}", pids.len(), *kib as f64 / 1024.0);
    }
    let whole = kinds.contains_key("postgres") && kinds.get("shop").is_some_and(|shop| shop.0.len() == 1);
    let mib = kinds.values().map(|kind| kind.1).sum::<u64>() / 1024;
    let figure = format!(
        "open in {:.1} s; {} of {ORDERS} orders shipped by 1 binary of {} MiB; {} processes, {mib} MiB in all; {}",
        shop.opened_in.as_secs_f64(),
        count(&ended, "shipped"),
        fs::metadata(format!("/proc/{}/exe", shop.pid)).map_or(0, |file| file.len() >> 20),
        kinds.values().map(|kind| kind.0.len()).sum::<usize>(),
        in_words(&found)
    );
    Shown { figure, as_said: whole && found.is_empty() && count(&ended, "shipped") == ORDERS }
}

/// What it holds, its share of what it shares (PSS).
fn memory_kib(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or_default()
}
