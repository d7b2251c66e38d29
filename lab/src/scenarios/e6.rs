//! E6: why is this order stuck?

use std::time::Duration;

use banyan_lab::stage::{ShopClient, ShopOptions, ShopProcess, Stage, Wish, until};
use tokio::time::Instant;

use super::{Cast, ENDED, Row, SKUS, Shown, findings, in_words, open, played};

pub const ROW: Row = Row {
    name: "E6",
    title: "why is this order stuck? the one among the healthy, and its cause, by two commands",
    says: [
        "40 orders ship. Then the carrier goes away, and another shop is given a wrong secret for its gateway: an order in each.",
        "`banyan order stuck` must list it and `banyan order why` name step, module and cause; mended, it ships by itself.",
    ],
    without: &[],
    file: "modules/orders/core/src/why.rs",
    play: |cast| Box::pin(play(cast)),
};

const HEALTHY: usize = 40;

/// An order that cannot go on, and what is wrong in truth.
struct Planted<'a> {
    shop: &'a ShopClient,
    what: &'static str,
    /// What `why` must say.
    words: [&'static str; 3],
}

/// How it was found out.
struct Diagnosed {
    order: String,
    /// Until the order was listed, since it was placed.
    listed: Duration,
    /// What the two commands took a person who ran them then.
    commands: Duration,
}

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let shop = open(&stage, cast.options(&["--allow-faults"])).await;
    played(&shop, "e6", HEALTHY).await;
    let stranger = stranger(&stage, &cast, &shop).await;
    let broken = shop.banyan(&["break", "carrier", "--down", "100%", "--for", "10m"]).await;
    assert!(broken.status.success(), "{broken:?}");
    let away = Planted {
        shop: &shop,
        what: "the carrier is away",
        words: ["book", "shipping", "the carrier does not answer"],
    };
    let secret = Planted {
        shop: &stranger,
        what: "the gateway's secret is wrong",
        words: ["authorise", "payments", "check the secret"],
    };
    let (away, secret) = tokio::join!(diagnose(&away), diagnose(&secret));
    shop.banyan(&["mend"]).await;
    let mended = Instant::now();
    shop.settled(std::slice::from_ref(&away.order), ENDED).await.unwrap_or_else(|why| panic!("{why}"));
    let shipped = mended.elapsed();
    let found = findings(&shop).await;
    let figure = format!(
        "2 stuck orders beside {HEALTHY} healthy ones, both causes right: listed after {:.1} and {:.1} s, then `stuck` and `why` \
         took {:.2} and {:.2} s; mended, the first shipped within {:.1} s; {}",
        away.listed.as_secs_f64(),
        secret.listed.as_secs_f64(),
        away.commands.as_secs_f64(),
        secret.commands.as_secs_f64(),
        shipped.as_secs_f64(),
        in_words(&found)
    );
    Shown { figure, as_said: found.is_empty() }
}

/// A shop of its own whose gateway knows it by another secret.
async fn stranger(stage: &Stage, cast: &Cast, other: &ShopProcess) -> ShopProcess {
    let address = other.outside().address;
    let mut options: ShopOptions = cast.options(&["--gateway-url", &address]);
    options.env.push(("BANYAN_GATEWAY_SECRET".to_owned(), "another secret".to_owned()));
    let shop = stage.shop("stranger", options).await;
    shop.stock(&SKUS, 100).await;
    shop
}

/// Places the order and does what the runbook says, until both commands tell the truth.
async fn diagnose(planted: &Planted<'_>) -> Diagnosed {
    let begun = Instant::now();
    let order = planted.shop.place(&Wish::of("customer-0", "e6-stuck", &SKUS[..1])).await;
    let ask = async |args: &[&str]| {
        let output = planted.shop.banyan(args).await;
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let is_listed = async || {
        let stuck = ask(&["order", "stuck"]).await;
        (stuck.contains(&order) && planted.words.iter().all(|word| stuck.contains(word))).then_some(())
    };
    until(ENDED, "the order to be listed with its cause", is_listed).await;
    let listed = begun.elapsed();
    let asked = Instant::now();
    let (stuck, why) = (ask(&["order", "stuck"]).await, ask(&["order", "why", &order]).await);
    let commands = asked.elapsed();
    println!("    in truth   {}", planted.what);
    why.lines().for_each(|line| println!("    {line}"));
    let told = |text: &str| planted.words.iter().all(|word| text.contains(word));
    assert!(told(&why) && told(&stuck), "{stuck}{why}");
    assert_eq!(stuck.lines().count(), 1, "nothing healthy is listed: {stuck}");
    Diagnosed { order, listed, commands }
}
