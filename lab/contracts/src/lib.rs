//! Who asks whom, and who hears whom, as the crate graph has it: each of these seams has its pact.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// By what they speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// One asks, by HTTP, and the other answers.
    Http,
    /// One tells, and the other hears.
    Events,
}

/// Two that have agreed on something.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seam {
    /// By what.
    pub way: Way,
    /// Who asks, or hears: a module, or the `shop`.
    pub consumer: String,
    /// Who answers, or tells: a module.
    pub provider: String,
}

impl Seam {
    /// Between these two.
    #[must_use]
    pub fn new(way: Way, consumer: &str, provider: &str) -> Self {
        Self { way, consumer: consumer.to_owned(), provider: provider.to_owned() }
    }

    /// Where its pact is, from the root of the workspace.
    #[must_use]
    pub fn pact(&self) -> String {
        let folder = match self.way {
            Way::Http => "http",
            Way::Events => "events",
        };
        format!("pacts/{folder}/{}-{}.json", self.consumer, self.provider)
    }
}

/// The root of the workspace.
#[must_use]
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// All seams of the crate graph.
///
/// # Panics
/// When cargo does not tell the graph.
#[must_use]
pub fn seams() -> BTreeSet<Seam> {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps();
    let metadata = command.other_options(["--offline".to_owned()]).exec().expect("the crate graph");
    let members = metadata.workspace_packages();
    let names: BTreeSet<&str> = members.iter().map(|member| member.name.as_str()).collect();
    let uses = members.iter().map(|member| (member.name.to_string(), used(member, &names)));
    let uses: Uses = uses.collect();
    asked(&uses).chain(heard(&uses)).chain(cached(&uses)).collect()
}

/// Which members of the workspace a crate is made of.
fn used(package: &Package, members: &BTreeSet<&str>) -> BTreeSet<String> {
    let normal = package.dependencies.iter().filter(|it| it.kind == DependencyKind::Normal);
    normal.map(|it| it.name.clone()).filter(|name| members.contains(name.as_str())).collect()
}

type Uses = BTreeMap<String, BTreeSet<String>>;

/// Every process, by the name that its callees know it by.
fn processes(uses: &Uses) -> impl Iterator<Item = (&str, &BTreeSet<String>)> {
    uses.iter().filter_map(|(name, used)| match name.as_str() {
        "banyan" => Some(("shop", used)),
        name => name.strip_suffix("-service").map(|module| (module, used)),
    })
}

/// Which modules a crate links in this form, beside its own.
fn others<'a>(own: &str, used: &'a BTreeSet<String>, form: &str) -> impl Iterator<Item = &'a str> {
    used.iter().filter_map(move |name| name.strip_suffix(form)).filter(move |module| *module != own)
}

/// Who links a contract by HTTP asks by it.
fn asked(uses: &Uses) -> impl Iterator<Item = Seam> {
    processes(uses).flat_map(|(consumer, used)| {
        others(consumer, used, "-http").map(move |provider| Seam::new(Way::Http, consumer, provider))
    })
}

/// A core that knows another's contract, and whose process has no way to ask by it, knows it for its events.
fn heard(uses: &Uses) -> impl Iterator<Item = Seam> {
    let asks = |consumer: &str, provider: &str| {
        uses.get(&format!("{consumer}-service"))
            .is_some_and(|used| used.contains(&format!("{provider}-http")))
    };
    let cores = uses.iter().filter_map(|(name, used)| Some((name.strip_suffix("-core")?, used)));
    cores.flat_map(move |(consumer, used)| {
        let heard = others(consumer, used, "-api").filter(move |provider| !asks(consumer, provider));
        heard.map(move |provider| Seam::new(Way::Events, consumer, provider))
    })
}

/// A contract by HTTP that knows the bus brings a cache along, which hears what it keeps.
fn cached(uses: &Uses) -> impl Iterator<Item = Seam> {
    let hears = |provider: &&str| uses[&format!("{provider}-http")].contains("banyan-bus");
    processes(uses).flat_map(move |(consumer, used)| {
        let heard = others(consumer, used, "-http").filter(hears);
        heard.map(move |provider| Seam::new(Way::Events, consumer, provider))
    })
}
