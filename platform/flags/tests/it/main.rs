//! Flags from files, and from a server that is away, slow, and talks rubbish.

mod files;
mod server;

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// A flag with a variant for so many of a thousand keys, as Unleash exports one.
pub fn flag(name: &str, weights: &[(&str, u16)]) -> Value {
    let variant = |(name, weight): &(&str, u16)| json!({"name": name, "weight": weight, "weightType": "fix", "stickiness": "default"});
    let variants: Vec<Value> = weights.iter().map(variant).collect();
    let tags =
        [("owner", "tests"), ("since", "2026-01-31"), ("removal", "2030-01-31"), ("default", weights[0].0)];
    let tag = |(kind, value)| json!({"featureName": name, "tagType": kind, "tagValue": value});
    json!({
        "features": [{"name": name, "description": "For tests.", "type": "operational"}],
        "featureStrategies": [{
            "name": "flexibleRollout", "featureName": name, "constraints": [], "segments": [], "variants": variants,
            "parameters": {"groupId": name, "rollout": "100", "stickiness": "default"},
        }],
        "featureEnvironments": [{"name": name, "featureName": name, "environment": "development", "enabled": true}],
        "featureTags": tags.map(tag),
    })
}

/// How many of so many keys have each variant.
pub fn shares(flags: &dyn banyan_flags::Flags, name: &str, keys: usize) -> BTreeMap<Option<String>, usize> {
    let mut shares = BTreeMap::new();
    for key in 0..keys {
        *shares.entry(flags.variant(name, Some(&format!("key-{key}")))).or_default() += 1;
    }
    shares
}
