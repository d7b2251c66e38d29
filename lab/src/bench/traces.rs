//! What traces cost: a shop that sends them beside one that does not, in interleaved slices on one machine.

use banyan_host::testing::Receiver;
use banyan_lab::stage::{ShopOptions, ShopProcess, Stage};

use super::{BenchArgs, Slice, load::Load, median, of_shop};

/// One of the two.
struct Side {
    name: &'static str,
    shop: ShopProcess,
    load: Load,
    slices: Vec<Slice>,
}

impl Side {
    async fn open(stage: &Stage, name: &'static str, options: ShopOptions, args: &BenchArgs) -> Self {
        let shop = stage.shop(name, options).await;
        let load = Load::new(&shop, args.in_flight).await;
        Self { name, shop, load, slices: Vec::new() }
    }

    async fn slice(&mut self, stage: &Stage, n: u32, seconds: u64) {
        let slice = of_shop(stage, &self.shop, &self.load, seconds).await;
        let (per_s, cpu) = (slice.per_s, slice.spent.cpu_ms[0] / slice.orders);
        println!("{n:<6} {:<9} {per_s:>8.0} orders/s  {cpu:>6.2} ms of the shop's CPU per order", self.name);
        self.slices.push(slice);
    }
}

/// Prints both, and the one as a share of the other.
pub(super) async fn compare(stage: &Stage, args: &BenchArgs) {
    let collector = Receiver::counting();
    let mut options = ShopOptions::default();
    options.env.push(("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), collector.endpoint.clone()));
    let mut plain = Side::open(stage, "plain", ShopOptions::default(), args).await;
    let mut traced = Side::open(stage, "traced", options, args).await;
    for n in 1..=args.slices {
        // Who goes first finds a quieter machine.
        let (first, second) = if n % 2 == 0 { (&mut traced, &mut plain) } else { (&mut plain, &mut traced) };
        first.slice(stage, n, args.seconds).await;
        second.slice(stage, n, args.seconds).await;
    }
    let orders: f64 = traced.slices.iter().map(|slice| slice.orders).sum();
    let lost = lost(&traced.shop).await;
    // A stop sends what is left.
    traced.shop.stop().await;
    let pairs = || traced.slices.iter().zip(&plain.slices);
    println!(
        "throughput   {:.3} of the one without traces (median of {} pairs)",
        median(pairs().map(|(with, without)| with.per_s / without.per_s)),
        args.slices
    );
    let cpu = |slice: &Slice| slice.spent.cpu_ms[0] / slice.orders;
    println!(
        "shop's CPU   {:.3} times that of the one without",
        median(pairs().map(|(with, without)| cpu(with) / cpu(without)))
    );
    let per_order = collector.count() as f64 / orders;
    println!("spans        {per_order:.1} per order were received, {lost} in all were dropped or not taken");
}

/// Spans that the shop says it could not send.
async fn lost(shop: &ShopProcess) -> u64 {
    let metrics = shop.metrics().await;
    let spans = metrics.iter().filter(|(series, _)| series.starts_with("banyan_traces_spans_total"));
    spans.filter(|(series, _)| !series.contains("\"sent\"")).map(|(_, lost)| *lost as u64).sum()
}
