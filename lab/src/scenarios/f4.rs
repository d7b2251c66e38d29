//! F4: flags and gradual rollout, by a real Unleash server.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc};

use banyan_flags::{Files, Flags};
use banyan_lab::stage::{ShopClient, ShopOptions, Unleash, until};
use futures::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{Cast, ENDED, Row, Shown, open};

pub const ROW: Row = Row {
    name: "F4",
    title: "feature flags with gradual rollout (Unleash)",
    says: [
        "Five strategies, 20,000 keys each: what our own evaluation finds and what a real Unleash server finds, side by side.",
        "Then a shop whose flags that server keeps: turned there, seen here; the server is killed, and the last state holds; a start without it takes the files.",
    ],
    without: &[],
    file: "platform/flags/src/unleash.rs",
    play: |cast| Box::pin(play(cast)),
};

const KEYS: usize = 20_000;
const AT_ONCE: usize = 8;

async fn play(cast: Cast) -> Shown {
    let stage = cast.stage();
    let first = open(&stage, ShopOptions::default()).await;
    let unleash = match Unleash::start(&stage, &first).await {
        Ok(unleash) => unleash,
        Err(figure) => return Shown { figure, as_said: false },
    };
    let (compared, other) = compared(&unleash, &stage.folder().join("flags")).await;
    let options = ShopOptions::beside(&first);
    let options = ShopOptions { env: [options.env, unleash.env()].concat(), ..options };
    for module in ["inventory", "orders"] {
        let file = fs::read_to_string(format!("flags/{module}-route.json")).expect("from the project's root");
        unleash.import(&serde_json::from_str(&file).expect("JSON")).await;
    }
    let mut shop = stage.shop("second", options).await;
    until(ENDED, "the server's flags to be heard", async || {
        (route(&shop).await["said_by"] == "unleash").then_some(())
    })
    .await;
    let file = fs::read_to_string("flags/inventory-route.json").expect("from the project's root");
    let began = Instant::now();
    unleash.import(&turned(&file)).await;
    until(ENDED, "the turn to be seen", async || {
        (route(&shop).await["weights"]["remote"] == 1_000).then_some(())
    })
    .await;
    let seen_after = began.elapsed();
    drop(unleash);
    until(ENDED, "the shop to have asked in vain", async || {
        let log = fs::read_to_string(shop.data.with_extension("err")).unwrap_or_default();
        log.contains("flags stay as they were").then_some(())
    })
    .await;
    let holds = route(&shop).await["weights"]["remote"] == 1_000;
    shop.kill9().await;
    shop.restart().await;
    let opened_in = shop.opened_in;
    let anew = route(&shop).await;
    let by_files = anew["said_by"] == "program" && anew["weights"]["local"] == 1_000;
    let figure = format!(
        "{compared} of {} evaluations the same{}; a turn seen after {:.1} s; server killed: the last state holds: {}; a start without it {:.1} s, by the files: {}",
        5 * KEYS,
        other.map_or(String::new(), |other| format!(", the first other one {other}")),
        seen_after.as_secs_f64(),
        if holds { "yes" } else { "NO" },
        opened_in.as_secs_f64(),
        if by_files { "yes" } else { "NO" },
    );
    Shown { figure, as_said: compared == 5 * KEYS && holds && by_files }
}

/// The flag of inventory's route, as that shop has it.
async fn route(shop: &ShopClient) -> Value {
    let all = shop.operate(Method::GET, "/admin/flags", None).await.1;
    let all = all["flags"].as_array().into_iter().flatten();
    all.into_iter().find(|flag| flag["name"] == "inventory-route").cloned().unwrap_or_default()
}

/// The same flag, all of it remote.
fn turned(file: &str) -> Value {
    let mut export: Value = serde_json::from_str(file).expect("JSON");
    for variant in export["featureStrategies"][0]["variants"].as_array_mut().into_iter().flatten() {
        variant["weight"] = json!(if variant["name"] == "remote" { 1_000 } else { 0 });
    }
    export
}

/// Five flags of different strategies.
fn flags() -> BTreeMap<&'static str, Value> {
    let rollout =
        |rollout: &str, group: &str| json!({"rollout": rollout, "stickiness": "default", "groupId": group});
    let one = json!([("on", 1_000)]);
    let constraint = |operator: &str, values: &[&str]| json!([{"contextName": "userId", "operator": operator, "values": values, "inverted": false, "caseInsensitive": false}]);
    let (ends, named) =
        (constraint("STR_ENDS_WITH", &["7", "8"]), constraint("IN", &["key-1", "key-77", "key-19999"]));
    [
        ("lab-third", "flexibleRollout", rollout("33", "lab-third"), one.clone(), json!([])),
        ("lab-grouped", "flexibleRollout", rollout("50", "together"), one.clone(), json!([])),
        ("lab-variants", "flexibleRollout", rollout("80", "lab-variants"), json!([("a", 100), ("b", 250), ("c", 650)]), json!([])),
        ("lab-named", "flexibleRollout", rollout("100", "lab-named"), one.clone(), named),
        ("lab-constrained", "flexibleRollout", rollout("60", "lab-constrained"), one, ends),
    ]
    .map(|(name, strategy, parameters, variants, constraints)| {
        // The server asks for one whose weight is what the others leave.
        let variant = |(n, variant): (usize, &Value)| {
            let kind = if n == 0 { "variable" } else { "fix" };
            json!({"name": variant[0], "weight": variant[1], "weightType": kind, "stickiness": "default"})
        };
        let variants: Vec<Value> = variants.as_array().into_iter().flatten().enumerate().map(variant).collect();
        let tags = [("owner", "lab"), ("since", "2026-11-29"), ("removal", "2036-11-29"), ("default", "off")];
        let tag = |(kind, value): (&str, &str)| json!({"featureName": name, "tagType": kind, "tagValue": value});
        let kind = |(kind, _): (&str, &str)| json!({"name": kind, "description": kind, "icon": ""});
        let export = json!({
            "features": [{"name": name, "description": "Of the lab.", "type": "experiment", "project": "default", "stale": false, "impressionData": false, "archived": false}],
            "featureStrategies": [{"name": strategy, "featureName": name, "title": null, "parameters": parameters,
                "constraints": constraints, "segments": [], "disabled": false, "variants": variants}],
            "featureEnvironments": [{"name": name, "featureName": name, "environment": "development", "enabled": true, "variants": []}],
            "featureTags": tags.map(tag), "tagTypes": tags.map(kind),
            "contextFields": [], "segments": [], "dependencies": [], "links": [],
        });
        (name, export)
    })
    .into()
}

/// How many evaluations are the same, and the first that is not.
async fn compared(unleash: &Unleash, folder: &Path) -> (usize, Option<String>) {
    let flags = flags();
    let texts: Vec<(&str, String)> = flags.iter().map(|(name, flag)| (*name, flag.to_string())).collect();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let files = Arc::new(Files::open(&texts, folder).expect("flags"));
    for flag in flags.values() {
        unleash.import(flag).await;
    }
    // The server evaluates by a copy of its own, which it reads again every few seconds.
    until(ENDED, "the server to evaluate all of them", async || {
        let all = unleash.evaluated("key-77").await;
        (all.len() >= 2 && all.iter().any(|(name, _)| name == "lab-named")).then_some(())
    })
    .await;
    let looked = stream::iter(0..KEYS).map(|n| {
        let (files, flags) = (files.clone(), &flags);
        async move {
            let key = format!("key-{n}");
            let theirs: BTreeMap<String, String> = unleash.evaluated(&key).await.into_iter().collect();
            let other = |name: &&str| files.variant(name, Some(&key)) != theirs.get(*name).cloned();
            let others: Vec<String> = flags
                .keys()
                .copied()
                .filter(|name| other(name))
                .map(|name| format!("{name} of {key}"))
                .collect();
            (flags.len() - others.len(), others.into_iter().next())
        }
    });
    let looked: Vec<(usize, Option<String>)> = looked.buffer_unordered(AT_ONCE).collect().await;
    (looked.iter().map(|(same, _)| same).sum(), looked.into_iter().find_map(|(_, other)| other))
}
