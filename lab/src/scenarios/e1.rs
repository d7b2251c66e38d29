//! E1: one order as one tree, received by a collector.

use banyan_host::testing::{Receiver, Tree};
use banyan_lab::stage::within;

use super::{Cast, ENDED, Row, Shown, count, findings, in_words, open, played};

pub const ROW: Row = Row {
    name: "E1",
    title: "distributed traces: one order is one tree, from the request through the bus to the carrier's answer",
    says: [
        "100 orders go through a gateway and a carrier that are slow, silent or refuse, and lab is the collector (OTLP).",
        "The tree with the most spans is printed; every order's spans must be one tree, however often it was asked for.",
    ],
    without: &[],
    file: "platform/host/src/traces/layer.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 100;
const FAULTS: &str = "authorise.timeout=5%,authorise.twice=5%,book.late=5%,book.refuse=5%,capture.timeout=5%";
/// What a shipped order has at least: the request, itself, five steps, three calls, five deliveries.
const SPANS_MIN: usize = 15;

async fn play(cast: Cast) -> Shown {
    let (stage, collector, seed) = (cast.stage(), Receiver::start(), cast.seed.to_string());
    let args = ["--allow-faults", "--fault-seed", &seed, "--sandbox-faults", FAULTS];
    let mut options = cast.options(&args);
    options.env.push(("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), collector.endpoint.clone()));
    let shop = open(&stage, options).await;
    let (orders, ended) = played(&shop, "e1", ORDERS).await;
    let found = findings(&shop).await;
    let of = |order: &String| collector.tree(&order.replace('-', ""));
    let incomplete = |order: &&String| {
        let shipped = ended[*order]["state"] == "shipped";
        let tree = of(order);
        !tree.is_whole() || shipped && tree.0.len() < SPANS_MIN
    };
    // Elapsed: the figure says how many are whole.
    let all = async || (!orders.iter().any(|order| incomplete(&order))).then_some(());
    let _ = within(ENDED, "the spans", all).await;
    let whole = orders.iter().filter(|order| !incomplete(order)).count();
    let trees: Vec<Tree> = orders.iter().map(of).collect();
    let largest = trees.iter().max_by_key(|tree| tree.0.len()).expect("orders");
    largest.text().lines().for_each(|line| println!("    {line}"));
    let links = trees.iter().flat_map(|tree| &tree.0).filter(|span| !span.links.is_empty()).count();
    let spans: usize = trees.iter().map(|tree| tree.0.len()).sum();
    let figure = format!(
        "{whole} of {ORDERS} orders ({} shipped, {} undone) are one tree each, of {:.1} spans on average over {} modules; \
         {links} spans link a batch they shared; {}",
        count(&ended, "shipped"),
        count(&ended, "cancelled"),
        spans as f64 / ORDERS as f64,
        largest.values("banyan.module").len(),
        in_words(&found)
    );
    Shown { figure, as_said: whole == ORDERS && found.is_empty() }
}
