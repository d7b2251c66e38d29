//! What compose.yaml tells each container, held against what its program asks for.

use std::{collections::BTreeSet, fs};

use crate::architecture::root;

const MODULES: [&str; 6] = ["catalog", "inventory", "payments", "shipping", "orders", "notifications"];

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).expect(path)
}

/// Each service of the file, and its lines. The file is flat enough to be read without a parser: names are indented by two.
fn services(file: &str) -> Vec<(&str, Vec<&str>)> {
    let (_, rest) = file.split_once("\nservices:\n").expect("services");
    let (section, _) = rest.split_once("\nnetworks:\n").expect("networks");
    let mut services: Vec<(&str, Vec<&str>)> = Vec::new();
    for line in section.lines().filter(|line| !line.trim().is_empty()) {
        match line.strip_prefix("  ").filter(|line| !line.starts_with(' ')) {
            Some(name) => services.push((name.trim_end_matches(':'), Vec::new())),
            None => services.last_mut().expect("a name comes first").1.push(line.trim()),
        }
    }
    services
}

/// Whom the service of a module asks: those whom its main names.
fn asked_by(module: &str) -> BTreeSet<&'static str> {
    let main = read(&format!("extracted/{module}/service/src/main.rs"));
    let names = |other: &&str| *other != module && main.contains(&format!("{other}_api::NAME"));
    MODULES.into_iter().filter(names).collect()
}

/// What a container is told that its program needs in order to be asked by those who ask it, and to ask whom it asks.
fn needed(who: &str, asks: &BTreeSet<&str>) -> BTreeSet<String> {
    let address = |module: &&str| format!("BANYAN_{}: http://{module}:9000", module.to_uppercase());
    let mut needed: BTreeSet<String> = asks.iter().map(address).collect();
    if !asks.is_empty() {
        needed.insert(format!("BANYAN_SERVICE_KEY: /keys/{who}/{who}.pem"));
    }
    if who != "shop" {
        let askers = MODULES.into_iter().filter(|other| asked_by(other).contains(who));
        let askers: BTreeSet<_> = askers.chain(["shop"]).collect();
        needed.extend(askers.into_iter().map(|asker| format!("{asker}=/keys/public/{asker}.pub.pem")));
    }
    needed
}

/// The same, as the file has it: a line for each address and key, and a piece for each caller.
fn told(lines: &[&str]) -> BTreeSet<String> {
    let about: Vec<String> = MODULES.iter().map(|it| format!("BANYAN_{}: ", it.to_uppercase())).collect();
    let mut told = BTreeSet::new();
    for line in lines {
        if let Some(callers) = line.strip_prefix("BANYAN_CALLERS: ") {
            told.extend(callers.split(',').map(str::to_owned));
        } else if line.starts_with("BANYAN_SERVICE_KEY: ") || about.iter().any(|it| line.starts_with(it)) {
            told.insert((*line).to_owned());
        }
    }
    told
}

#[test]
fn each_container_knows_whom_it_asks_and_who_asks_it_and_nobody_else() {
    let file = read("compose.yaml");
    let services = services(&file);
    let names: BTreeSet<&str> = services.iter().map(|(name, _)| *name).collect();
    let others = ["postgres", "kafka", "keys", "sandbox", "front"];
    assert_eq!(
        names,
        MODULES.into_iter().chain(others).collect(),
        "no more and no fewer than the shop needs"
    );
    for (name, lines) in &services {
        match *name {
            "front" => assert_eq!(told(lines), needed("shop", &MODULES.into()), "front"),
            module if MODULES.contains(&module) => {
                assert_eq!(told(lines), needed(module, &asked_by(module)), "{module}");
                let own = format!("entrypoint: [\"{module}-service\"]");
                assert!(lines.contains(&own.as_str()), "{module} is its own program");
            }
            other => assert!(told(lines).is_empty(), "{other} asks no module, and is asked by none"),
        }
    }
}

/// A key is its owner's: another's volume in a container would let it sign in the other's name.
#[test]
fn a_container_has_the_key_that_it_signs_with_and_no_other() {
    let file = read("compose.yaml");
    let mut signers = BTreeSet::new();
    let mut made = BTreeSet::new();
    for (name, lines) in services(&file) {
        let held = lines.iter().flat_map(|line| line.split("key-").skip(1));
        let held: BTreeSet<&str> = held.filter_map(|rest| rest.split(':').next()).collect();
        if name == "keys" {
            made = held;
            continue;
        }
        let who = if name == "front" { "shop" } else { name };
        let signs = lines.iter().any(|line| line.starts_with("BANYAN_SERVICE_KEY: "));
        assert_eq!(held, signs.then_some(who).into_iter().collect(), "{name}");
        signers.extend(held);
    }
    assert_eq!(made, signers, "who signs is given a key, and nobody else");
    let script = read("app/containers/keys.sh");
    let (_, rest) = script.split_once("for who in ").expect("whose keys");
    let (drawn, _) = rest.split_once(';').expect("whose keys");
    assert_eq!(drawn.split(' ').collect::<BTreeSet<_>>(), signers);
}

/// Names without a version are whatever was there last.
#[test]
fn each_image_has_a_version_and_who_is_to_stay_has_health_and_limits() {
    let file = read("compose.yaml");
    let images: Vec<&str> = file.lines().filter_map(|line| line.trim().strip_prefix("image: ")).collect();
    assert_eq!(images.len(), 3, "ours, and two of others: {images:?}");
    for image in images {
        let version =
            image.rsplit('/').next().and_then(|name| name.split_once(':')).map(|(_, version)| version);
        assert!(version.is_some_and(|it| it.starts_with(|first: char| first.is_ascii_digit())), "{image}");
    }
    for (name, lines) in services(&file) {
        let says = |what: &str| lines.iter().any(|line| line.starts_with(what) || *line == "<<: *service");
        assert!(says("deploy: "), "{name} has limits");
        assert!(says("healthcheck: ") || name == "keys", "{name} says how it is");
    }
}
