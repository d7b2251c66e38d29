//! No seam without a pact, and no operation that nobody expects anything of: read from the files, without Pact.

use std::{collections::BTreeSet, fs};

use banyan_contracts::{Way, root, seams};
use serde_json::Value;

fn files(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(folder)).into_iter().flatten().flatten();
    entries.map(|entry| format!("{folder}/{}", entry.file_name().display())).collect()
}

/// A new dependency is a new seam, and one that is gone leaves no file behind.
#[test]
fn every_seam_of_the_crate_graph_has_its_pact_and_every_pact_its_seam() {
    let seams: BTreeSet<String> = seams().iter().map(banyan_contracts::Seam::pact).collect();
    assert!(seams.len() > 10 && seams.contains("pacts/http/orders-inventory.json"), "{seams:?}");
    let pacts: BTreeSet<String> = ["pacts/http", "pacts/events"].into_iter().flat_map(files).collect();
    let (bare, stray): (Vec<_>, Vec<_>) =
        (seams.difference(&pacts).collect(), pacts.difference(&seams).collect());
    assert!(bare.is_empty() && stray.is_empty(), "without a pact: {bare:?}; pacts of no seam: {stray:?}");
}

/// What consumers expect of a module, taken together, is all that its document offers.
#[test]
fn every_operation_of_every_port_is_in_a_pact() {
    let seams = seams();
    let asked = seams.iter().filter(|seam| seam.way == Way::Http);
    let providers: BTreeSet<&str> = asked.map(|seam| seam.provider.as_str()).collect();
    assert_eq!(providers.len(), 6, "{providers:?}");
    for provider in providers {
        let offered = json(&format!("pacts/openapi/{provider}/v1.json"));
        let offered: BTreeSet<String> =
            offered["paths"].as_object().expect("paths").keys().cloned().collect();
        let pacts = seams.iter().filter(|seam| seam.way == Way::Http && seam.provider == provider);
        let expected: BTreeSet<String> = pacts.flat_map(|seam| paths(&json(&seam.pact()))).collect();
        assert_eq!(expected, offered, "{provider}");
    }
}

fn json(path: &str) -> Value {
    let text = fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).expect("JSON")
}

fn paths(pact: &Value) -> Vec<String> {
    let interactions = pact["interactions"].as_array().expect("interactions").iter();
    interactions.map(|it| it["request"]["path"].as_str().expect("a path").to_owned()).collect()
}
