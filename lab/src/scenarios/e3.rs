//! E3: log lines that a program can read, and one order's among them.

use std::collections::{BTreeMap, BTreeSet};

use banyan_lab::stage::until;
use serde_json::Value;

use super::{Cast, ENDED, Row, Shown, findings, in_words, open, played};

pub const ROW: Row = Row {
    name: "E3",
    title: "structured logs: each line a JSON object; one order's lines found by its correlation id",
    says: [
        "40 orders are shipped by a shop that logs JSON at a low level, through a gateway that is sometimes silent.",
        "Every line must be an object; a line that names an order must carry its correlation id; one order's lines are printed.",
    ],
    without: &[],
    file: "platform/host/src/telemetry.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 40;
const LOG: &str = "warn,orders_core=debug,banyan_net=debug,banyan_bus=trace,banyan::trace=info";
const FAULTS: &str = "authorise.timeout=10%";
/// Orders' own, the page of calls, the bus.
const CRATES: [&str; 3] = ["banyan_bus", "banyan_net", "orders_core"];

async fn play(cast: Cast) -> Shown {
    let (stage, seed) = (cast.stage(), cast.seed.to_string());
    let args =
        ["--log", LOG, "--log-json", "--allow-faults", "--fault-seed", &seed, "--sandbox-faults", FAULTS];
    let shop = open(&stage, cast.options(&args)).await;
    let (orders, _) = played(&shop, "e3", ORDERS).await;
    let found = findings(&shop).await;
    let log = shop.data.with_extension("err");
    let ids: BTreeMap<String, &String> = orders.iter().map(|order| (order.replace('-', ""), order)).collect();
    // The bus hears of the last end a moment after the audit is clean.
    let lines = until(ENDED, "every order's lines", async || {
        let text = std::fs::read_to_string(&log).ok()?;
        let lines: Vec<Line> = text.lines().map(Line::read).collect();
        let complete =
            |(id, order): (&String, &&String)| crates_of(&lines, &[id, order]).len() == CRATES.len();
        ids.iter().all(complete).then_some(lines)
    })
    .await;
    let bad = lines.iter().filter(|line| line.object.is_null() || line.text.contains('\u{1b}')).count();
    let names_without_id = |line: &&Line| {
        let named = ids.iter().find(|(_, order)| line.text.contains(order.as_str()));
        named.is_some_and(|(id, _)| !line.text.contains(id.as_str()))
    };
    let nameless = lines.iter().filter(names_without_id).count();
    let of = |id: &String| lines.iter().filter(|line| line.text.contains(id.as_str())).collect::<Vec<_>>();
    let most = ids.keys().max_by_key(|id| of(id).len()).expect("orders");
    of(most).iter().for_each(|line| println!("    {}", line.brief()));
    let figure = format!(
        "{} lines, {bad} of them no plain JSON; {nameless} name an order without its correlation id; {} lines of {} crates \
         are of {most}; {}",
        lines.len(),
        of(most).len(),
        crates_of(&lines, &[most]).len(),
        in_words(&found)
    );
    Shown { figure, as_said: bad == 0 && nameless == 0 && found.is_empty() }
}

struct Line {
    text: String,
    object: Value,
}

impl Line {
    fn read(text: &str) -> Self {
        Self { text: text.to_owned(), object: serde_json::from_str(text).unwrap_or_default() }
    }

    fn of_crate(&self) -> &str {
        let target = self.object["target"].as_str().unwrap_or_default();
        target.split("::").next().unwrap_or_default()
    }

    fn brief(&self) -> String {
        let text = |field: &str| self.object[field].as_str().unwrap_or_default();
        let about = ["step", "callee", "group"].map(text).join(" ");
        let at = text("timestamp").get(11..23).unwrap_or_default();
        format!("{at} {:<5} {:<12} {:<40} {}", text("level"), self.of_crate(), text("message"), about.trim())
    }
}

/// Which crates logged a line with any of these.
fn crates_of<'a>(lines: &'a [Line], ids: &[&str]) -> BTreeSet<&'a str> {
    let is_of = |line: &&Line| ids.iter().any(|id| line.text.contains(id));
    let of_order = lines.iter().filter(is_of).map(Line::of_crate);
    of_order.filter(|name| CRATES.contains(name)).collect()
}
