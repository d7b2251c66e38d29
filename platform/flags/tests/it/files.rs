//! Files: what they say, what is wrong with them, what becomes of them.

use std::{collections::BTreeMap, fs, sync::Arc, time::Duration};

use banyan_flags::{Files, FilesError, Flag, Flags, SaidBy, TurnError};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{flag, shares};

const KEYS: usize = 2_000;

fn opened(folder: &TempDir) -> Files {
    let built_in = flag("way", &[("local", 1_000), ("remote", 0)]).to_string();
    Files::open(&[("way", &built_in)], folder.path()).expect("flags")
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn a_growing_share_keeps_the_keys_that_it_had() {
    let folder = folder();
    let files = opened(&folder);
    assert_eq!(shares(&files, "way", KEYS), [(Some("local".to_owned()), KEYS)].into());
    let mut had: Vec<usize> = Vec::new();
    for remote in [10, 50, 250, 500, 1_000] {
        files.turn("way", &[("remote", remote), ("local", 1_000 - remote)].into()).expect("turned");
        let has =
            |key: &usize| files.variant("way", Some(&format!("key-{key}"))).as_deref() == Some("remote");
        let have: Vec<usize> = (0..KEYS).filter(has).collect();
        assert!(had.iter().all(|key| have.contains(key)), "at {remote}");
        let share = have.len() as f64 / KEYS as f64;
        // Five standard deviations of a binomial share.
        let expected = f64::from(remote) / 1_000.0;
        let bound = 5.0 * (expected * (1.0 - expected) / KEYS as f64).sqrt();
        assert!((share - expected).abs() <= bound, "{share} for {expected}");
        had = have;
    }
    assert_eq!(had.len(), KEYS);
}

#[test]
fn what_was_turned_is_a_file_that_goes_before_the_program_s() {
    let folder = folder();
    opened(&folder).turn("way", &[("remote", 1_000)].into()).expect("turned");
    let files = opened(&folder);
    let states = files.states();
    assert_eq!(states.len(), 1);
    assert_eq!((states[0].weights["remote"], states[0].said_by), (1_000, SaidBy::Folder));
    fs::remove_file(folder.path().join("way.json")).expect("a file");
    assert!(files.reload().expect("the folder"), "it has changed");
    assert_eq!(files.states()[0].said_by, SaidBy::Program);
    assert!(!files.reload().expect("the folder"));
}

#[test]
fn what_cannot_be_turned_stays_as_it_was() {
    let folder = folder();
    let files = opened(&folder);
    let refused = |name: &str, weights: &[(&str, u16)]| {
        let weights: BTreeMap<&str, u16> = weights.iter().copied().collect();
        files.turn(name, &weights).expect_err("refused").to_string()
    };
    assert_eq!(refused("weg", &[("remote", 1_000)]), "there is no flag weg");
    assert_eq!(
        refused("way", &[("remot", 1_000)]),
        "flag way: it has no variant \"remot\", but local, remote"
    );
    assert!(refused("way", &[("remote", 999)]).contains("sum up to 999, and must to 1000"));
    assert!(matches!(files.turn("weg", &BTreeMap::new()), Err(TurnError::Unknown(_))));
    assert_eq!(files.states()[0].weights["local"], 1_000);
    assert!(fs::read_dir(folder.path()).expect("a folder").next().is_none(), "nothing is written");
}

/// Follows a folder until something holds.
async fn until(files: &Arc<Files>, holds: impl Fn(&Files) -> bool) {
    let stop = CancellationToken::new();
    let following = tokio::spawn(files.clone().follow(stop.clone()));
    let looked = async {
        while !holds(files) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), looked).await.expect("it comes to hold");
    stop.cancel();
    following.await.expect("it ends");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_changes_is_read_again_and_one_that_is_wrong_changes_nothing() {
    let folder = folder();
    let files = Arc::new(opened(&folder));
    let path = folder.path().join("way.json");
    fs::write(&path, flag("way", &[("local", 0), ("remote", 1_000)]).to_string()).expect("a file");
    until(&files, |files| files.variant("way", Some("k")).as_deref() == Some("remote")).await;
    fs::write(&path, "{").expect("a file");
    let why = files.reload().expect_err("it is no flag");
    assert!(
        matches!(&why, FilesError::File(_, why) if why.name == "way" && why.why.starts_with("it is no JSON")),
        "{why}"
    );
    assert_eq!(files.variant("way", Some("k")).as_deref(), Some("remote"), "the last that was right holds");
}

#[test]
fn what_takes_a_flags_place_has_its_variants_and_is_a_file() {
    let folder = folder();
    let files = opened(&folder);
    let path = folder.path().join("way.json");
    for (text, said) in [
        (
            flag("way", &[("local", 1_000), ("mars", 0)]),
            "its variants are local, remote, no more and no fewer",
        ),
        (flag("way", &[("local", 1_000)]), "its variants are local, remote"),
    ] {
        fs::write(&path, text.to_string()).expect("a file");
        let why = files.reload().expect_err("refused").to_string();
        assert!(why.starts_with(&path.display().to_string()) && why.contains(said), "{why}");
    }
    fs::remove_file(&path).expect("a file");
    fs::create_dir(&path).expect("a folder");
    assert!(matches!(files.reload(), Err(FilesError::NoFile(at)) if at == path));
    assert_eq!(files.variant("way", Some("k")).as_deref(), Some("local"));
}

#[test]
fn a_flag_that_is_off_or_unknown_has_no_variant() {
    let mut off = flag("way", &[("local", 0), ("remote", 1_000)]);
    off["featureEnvironments"][0]["enabled"] = json!(false);
    let files = Files::open(&[("way", &off.to_string())], folder().path()).expect("flags");
    assert_eq!([files.variant("way", Some("k")), files.variant("weg", Some("k"))], [None, None]);
}

#[test]
fn what_is_wrong_with_a_file_is_named() {
    let wrong = |change: &dyn Fn(&mut Value)| {
        let mut text = flag("way", &[("local", 1_000), ("remote", 0)]);
        change(&mut text);
        Flag::parse("way", &text.to_string()).expect_err("it is no flag").to_string()
    };
    let strategy =
        |change: &'static dyn Fn(&mut Value)| wrong(&|flag| change(&mut flag["featureStrategies"][0]));
    let tag =
        |n: usize, value: &'static str| wrong(&|flag| flag["featureTags"][n]["tagValue"] = json!(value));
    let named = [
        (
            strategy(&|strategy| strategy["name"] = json!("flexibleRolout")),
            "\"flexibleRolout\" is no strategy; there are default,",
        ),
        (
            strategy(&|strategy| strategy["parameters"]["rollout"] = json!("101")),
            "rollout of flexibleRollout is \"101\", and must be 0 to 100",
        ),
        (strategy(&|strategy| strategy["parameters"]["rollout"] = json!("many")), "is \"many\""),
        (strategy(&|strategy| strategy["variants"][0]["weight"] = json!(999)), "sum up to 999"),
        (
            strategy(&|strategy| {
                strategy["constraints"] =
                    json!([{"contextName": "currentTime", "operator": "DATE_AFTER", "value": "soon"}])
            }),
            "of \"soon\", which is no time",
        ),
        (tag(1, "yesterday"), "its tag `since` is \"yesterday\", and must be a day"),
        (tag(2, "2026-02-30"), "its tag `removal` is \"2026-02-30\""),
        (tag(3, "mars"), "its tag `default` is \"mars\", which is none of its variants"),
        (wrong(&|flag| flag["featureTags"][0]["tagType"] = json!("landlord")), "it has no tag `owner`"),
        (
            wrong(&|flag| flag["features"][0]["name"] = json!("weg")),
            "another name than the flag in it, \"weg\"",
        ),
        (wrong(&|flag| flag["features"][0]["description"] = json!(" ")), "it has no description"),
        (
            wrong(&|flag| flag["featureEnvironments"][0]["name"] = json!("development")),
            "`name` and `featureName`",
        ),
        (
            wrong(&|flag| flag["featureEnvironments"] = json!([])),
            "`featureEnvironments` has one entry, not 0",
        ),
        (wrong(&|flag| *flag = json!([])), "it is no export of Unleash's"),
    ];
    for (said, expected) in named {
        assert!(said.starts_with("flag way: ") && said.contains(expected), "{said} for {expected}");
    }
}
