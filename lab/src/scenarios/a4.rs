//! A4: those who take part refuse, do not answer, answer late, hear twice, die.

use std::collections::BTreeMap;

use banyan_lab::stage::{Outside, ShopClient, ShopOptions, Stage, process::Process, until};
use nix::sys::signal::Signal;
use reqwest::Method;

use super::{Cast, ENDED, Row, Shown, baskets, count, findings, in_words, open, proxy::Proxy};

pub const ROW: Row = Row {
    name: "A4",
    title: "partial failures: who takes part refuses, times out, is late, hears twice, dies",
    says: [
        "150 orders meet a gateway and a carrier of which a third of the answers go wrong.",
        "Half-way the sandbox is killed with -9, then the shop; both come back and all orders end.",
    ],
    without: &[(
        "idempotency",
        "each sending of a charge goes under a key of its own: who did not answer charges again, and the audit counts it",
    )],
    file: "platform/net/src/call/page.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 150;
const FAULTS: &str = "authorise.refuse=5%,authorise.timeout=8%,authorise.late=8%,authorise.twice=8%,\
                      book.refuse=5%,book.timeout=8%,book.late=8%,book.twice=8%,\
                      capture.timeout=8%,capture.late=8%,capture.twice=8%";

async fn play(cast: Cast) -> Shown {
    match cast.without {
        None => survived(cast).await,
        Some(_) => charged_again(cast).await,
    }
}

async fn survived(cast: Cast) -> Shown {
    let (stage, seed) = (cast.stage(), cast.seed.to_string());
    let args = ["--allow-faults", "--fault-seed", &seed, "--sandbox-faults", FAULTS];
    let mut shop = open(&stage, cast.options(&args)).await;
    let customers = {
        let shop = shop.client();
        tokio::spawn(async move { shop.place_all(baskets("a4", ORDERS), 16).await })
    };
    written(&shop, 60).await;
    let sandbox = shop.sandbox_pid();
    Process::now(sandbox).expect("a sandbox").signal(Signal::SIGKILL);
    until(ENDED, "the sandbox to be back", async || (shop.sandbox_pid() != sandbox).then_some(())).await;
    written(&shop, 200).await;
    let first = shop.pid;
    shop.restart().await;
    println!(
        "    kill -9 {sandbox} (the sandbox) and kill -9 {first} (the shop); open again in {:?}",
        shop.opened_in
    );
    let orders = customers.await.expect("patient customers");
    let ended = shop.settled(&orders, ENDED).await.unwrap_or_else(|why| panic!("{why}"));
    print_faults(&shop).await;
    let found = findings(&shop).await;
    let (shipped, cancelled) = (count(&ended, "shipped"), count(&ended, "cancelled"));
    let figure =
        format!("{ORDERS} orders: {shipped} shipped, {cancelled} undone, none lost; {}", in_words(&found));
    Shown { figure, as_said: shipped + cancelled == ORDERS && found.is_empty() }
}

/// Waits until the outside's book has so many lines.
async fn written(shop: &ShopClient, lines: usize) {
    let book = shop.data.join("book/book.jsonl");
    until(ENDED, "the book to fill", async || {
        let text = std::fs::read_to_string(&book).ok()?;
        (text.lines().count() >= lines).then_some(())
    })
    .await;
}

async fn print_faults(shop: &ShopClient) {
    let (_, table) = shop.operate(Method::GET, "/admin/faults", None).await;
    for (step, kinds) in table["steps"].as_object().into_iter().flatten() {
        let counts = kinds.as_object().into_iter().flatten();
        let counts: Vec<String> = counts.map(|(kind, cell)| format!("{kind} {}", cell["count"])).collect();
        println!("    {step:<10} {}", counts.join(", "));
    }
}

/// A proxy between the shop and its gateway puts a fresh key on each sending.
async fn charged_again(cast: Cast) -> Shown {
    let (stage, seed) = (Stage::new(), cast.seed.to_string());
    let faults = ["--allow-faults", "--fault-seed", &seed, "--sandbox-faults", "authorise.timeout=30%"];
    let outside = open(&stage, ShopOptions::args(&faults)).await;
    let proxy = Proxy::start(outside.outside().address).await;
    let Outside { secret, control, .. } = outside.outside();
    let env = [("BANYAN_GATEWAY_SECRET", secret), ("BANYAN_CONTROL_TOKEN", control)];
    let options = ShopOptions {
        env: env.map(|(name, value)| (name.to_owned(), value)).into(),
        ..ShopOptions::args(&["--gateway-url", &proxy.address])
    };
    let shop = stage.shop("robbed", options).await;
    shop.stock(&super::SKUS, 1_000).await;
    let orders = shop.place_all(baskets("a4", 30), 8).await;
    shop.settled(&orders, ENDED).await.unwrap_or_else(|why| panic!("{why}"));
    let charges: BTreeMap<String, u32> =
        outside.outside().book().await.into_iter().map(|(order, did)| (order, did.authorised)).collect();
    let twice = charges.values().filter(|count| **count > 1).count();
    let found = findings(&shop).await;
    drop(proxy);
    let figure = format!("{twice} of {} orders charged more than once; {}", orders.len(), in_words(&found));
    Shown { figure, as_said: twice > 0 && found.contains_key("once") }
}
