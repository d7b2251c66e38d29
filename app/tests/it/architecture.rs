//! The sentences of ARCHITECTURE.md that a program can check: who may depend on whom, and who names whom.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::{Path, PathBuf},
};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// All a contract may use: what it is made of must be cheap for everybody who speaks it.
const OF_A_CONTRACT: [&str; 4] = ["async-trait", "banyan-kernel", "serde", "utoipa"];
/// Composition roots: the only ones that know implementations.
const ROOTS: [&str; 2] = ["banyan", "banyan-lab"];
/// In the app: where modules are wired. Everybody else asks them through their contracts.
const WIRE: [&str; 2] = ["app/src/compose/here.rs", "app/src/compose.rs"];

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the workspace")
}

fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml")).no_deps();
    command.other_options(["--offline".to_owned()]).exec().expect("cargo metadata")
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Kind {
    Root,
    Contract,
    Core,
    /// A contract by HTTP.
    Http,
    /// A module's own process.
    Service,
    /// What both sides of each seam have agreed on.
    Seams,
    Platform,
    Sandbox,
}

/// A crate of the workspace: what it is by where it stands, and what it depends on.
struct Member {
    name: String,
    kind: Kind,
    normal: BTreeSet<String>,
    dev: BTreeSet<String>,
}

fn members() -> BTreeMap<String, Member> {
    let metadata = metadata();
    let member = |package: &cargo_metadata::Package| {
        let folder = package.manifest_path.parent().expect("a folder");
        let folder = folder.strip_prefix(&metadata.workspace_root).expect("inside the workspace").as_str();
        let kind = match folder.split('/').collect::<Vec<_>>()[..] {
            ["app" | "lab"] => Kind::Root,
            ["lab", "contracts"] => Kind::Seams,
            ["modules", _, "api"] => Kind::Contract,
            ["modules", _, "core"] => Kind::Core,
            ["extracted", _, "http"] => Kind::Http,
            ["extracted", _, "service"] => Kind::Service,
            ["platform", _] => Kind::Platform,
            ["sandbox"] => Kind::Sandbox,
            _ => panic!("{folder} has no place in the tree of ARCHITECTURE.md"),
        };
        let of = |dev: bool| {
            let these = package.dependencies.iter();
            let these = these.filter(|it| (it.kind == DependencyKind::Development) == dev);
            these.map(|it| it.name.clone()).filter(|name| *name != *package.name).collect()
        };
        let name = package.name.to_string();
        (name.clone(), Member { name, kind, normal: of(false), dev: of(true) })
    };
    metadata.workspace_packages().into_iter().map(member).collect()
}

/// Each crate's dependencies within the workspace.
fn inner(all: &BTreeMap<String, Member>, dependencies: &BTreeSet<String>) -> Vec<(String, Kind)> {
    let member = |name: &String| all.get(name).map(|member| (name.clone(), member.kind));
    dependencies.iter().filter_map(member).collect()
}

fn module(name: &str) -> &str {
    name.rsplit_once('-').map_or(name, |(module, _)| module)
}

#[test]
fn a_contract_depends_on_the_kernel_and_on_derives_alone() {
    for member in members().values().filter(|member| member.kind == Kind::Contract) {
        let beyond: Vec<_> =
            member.normal.iter().filter(|name| !OF_A_CONTRACT.contains(&name.as_str())).collect();
        assert!(beyond.is_empty(), "{} depends on {beyond:?}", member.name);
    }
}

#[test]
fn a_core_knows_contracts_and_the_platform_and_no_other_core() {
    let all = members();
    for member in all.values().filter(|member| member.kind == Kind::Core) {
        for (name, kind) in inner(&all, &member.normal) {
            assert!(matches!(kind, Kind::Contract | Kind::Platform), "{} depends on {name}", member.name);
        }
        let own = format!("{}-api", module(&member.name));
        assert!(member.normal.contains(&own), "{} does not implement {own}", member.name);
        let tested_with = inner(&all, &member.dev).into_iter().find(|(_, kind)| *kind == Kind::Core);
        assert!(tested_with.is_none(), "{} is tested with {tested_with:?}: use its fake", member.name);
    }
}

#[test]
fn only_composition_roots_know_cores_and_only_lab_knows_the_app() {
    let all = members();
    let composes = |member: &&Member| ROOTS.contains(&member.name.as_str()) || member.kind == Kind::Service;
    for member in all.values().filter(|member| !composes(member)) {
        for (name, kind) in inner(&all, &member.normal) {
            assert!(kind != Kind::Core && kind != Kind::Root, "{} depends on {name}", member.name);
        }
    }
    let lab = all.values().find(|member| member.normal.contains("banyan-lab"));
    assert!(lab.is_none(), "nothing but dev-dependencies points to lab");
    let uses = |member: &&Member| member.normal.union(&member.dev).any(|name| name == "banyan-contracts");
    assert!(
        !all.values().any(|member| uses(&member)),
        "Pact's crates are for those who hold seams to it alone"
    );
}

/// Who calls a module that is elsewhere links its contract and the page of calls, and nothing that could do the work itself.
#[test]
fn a_contract_by_http_stands_on_the_contract_alone_and_never_on_a_core() {
    let all = members();
    for member in all.values().filter(|member| member.kind == Kind::Http) {
        let own = format!("{}-api", module(&member.name));
        // The bus, for a cache of what others tell.
        let allowed = [own.as_str(), "banyan-kernel", "banyan-net", "banyan-bus"];
        for (name, _) in inner(&all, &member.normal) {
            assert!(allowed.contains(&name.as_str()), "{} depends on {name}", member.name);
        }
    }
}

/// A service is one core behind one port. What others tell comes to it by Kafka, and others are asked by HTTP.
#[test]
fn a_service_is_one_core_behind_one_port() {
    let all = members();
    for member in all.values().filter(|member| member.kind == Kind::Service) {
        let own = module(&member.name);
        for (name, kind) in inner(&all, &member.normal) {
            let fits = match kind {
                Kind::Core => module(&name) == own,
                Kind::Platform => ["banyan-host", "banyan-kafka"].contains(&name.as_str()),
                Kind::Contract | Kind::Http => true,
                Kind::Root | Kind::Service | Kind::Seams | Kind::Sandbox => false,
            };
            assert!(fits, "{} depends on {name}", member.name);
        }
    }
}

#[test]
fn the_platform_knows_no_module_and_the_sandbox_nobody() {
    let all = members();
    for member in all.values() {
        let inner = inner(&all, &member.normal);
        match member.kind {
            Kind::Platform => {
                let beyond = inner.iter().find(|(_, kind)| *kind != Kind::Platform);
                assert!(beyond.is_none(), "{} depends on {beyond:?}", member.name);
            }
            Kind::Sandbox => assert!(inner.is_empty(), "the outside world shares no code: {inner:?}"),
            _ => {}
        }
    }
    let of_the_kernel = inner(&all, &all["banyan-kernel"].normal);
    assert!(of_the_kernel.is_empty(), "the kernel depends on {of_the_kernel:?}");
}

#[test]
fn the_crate_graph_is_the_one_that_was_agreed() {
    let all = members();
    let mut graph = String::new();
    for member in all.values() {
        let names = |dependencies| {
            let names = inner(&all, dependencies).into_iter().map(|(name, _)| name);
            names.collect::<Vec<_>>().join(" ")
        };
        writeln!(graph, "{:?} {}", member.kind, member.name).expect("a string");
        for (label, names) in [("uses", names(&member.normal)), ("tested with", names(&member.dev))] {
            if !names.is_empty() {
                writeln!(graph, "    {label}: {names}").expect("a string");
            }
        }
    }
    insta::assert_snapshot!(graph);
}

/// Every Rust file below a folder of the workspace, with its text.
pub(crate) fn sources(folder: &str) -> Vec<(String, String)> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            match entry.file_name().to_str() {
                Some("target" | ".git") => {}
                _ if path.is_dir() => walk(&path, found),
                Some(name) if name.ends_with(".rs") => found.push(path),
                _ => {}
            }
        }
    }
    let (root, mut found) = (root(), Vec::new());
    walk(&root.join(folder), &mut found);
    found.sort();
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source file");
        (path.strip_prefix(&root).expect("inside").display().to_string(), text)
    };
    found.into_iter().map(read).collect()
}

#[test]
fn files_are_named_by_what_they_do() {
    let vague = ["handler", "handlers", "service", "services", "util", "utils", "helpers", "common", "misc"];
    for (path, _) in sources("") {
        let name = Path::new(&path).file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        assert!(!vague.contains(&name), "{path}: name it by its use case");
    }
}

#[test]
fn in_the_app_cores_are_named_where_they_are_wired_and_nowhere_else() {
    let names_a_core = |text: &str| {
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        code.into_iter().any(|line| line.contains("_core::"))
    };
    let naming: Vec<String> =
        sources("app/src").into_iter().filter(|(_, text)| names_a_core(text)).map(|(path, _)| path).collect();
    assert_eq!(naming, WIRE);
}

/// A statement over a module's table belongs to the module: where that is elsewhere, its tables are.
#[test]
fn nobody_but_a_module_reads_its_tables() {
    let migrations = root().join("migrations");
    let modules = fs::read_dir(&migrations).expect("migrations").flatten();
    let modules = modules.filter(|entry| root().join("modules").join(entry.file_name()).exists());
    let files = modules.flat_map(|module| fs::read_dir(module.path()).expect("a folder").flatten());
    let texts = files.map(|file| fs::read_to_string(file.path()).expect("a migration").to_lowercase());
    let tables: BTreeSet<String> = texts
        .flat_map(|text| {
            let created = text.split("create table ").skip(1);
            created.filter_map(|rest| rest.split([' ', '(']).next().map(str::to_owned)).collect::<Vec<_>>()
        })
        .collect();
    assert!(tables.len() >= 15 && tables.contains("order_event"), "{tables:?}");
    for (path, text) in sources("app/src") {
        let code: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
        let code = code.join("\n");
        for table in &tables {
            let verbs = ["from", "join", "into", "update"].map(|verb| format!("{verb} {table} "));
            let reads = verbs.iter().find(|verb| code.contains(verb.as_str()));
            assert!(reads.is_none(), "{path} has a statement of its own over a module's table: {reads:?}");
        }
    }
}

/// SQL that names another module's schema, or a schema at all, would work around the roles.
#[test]
fn migrations_stay_in_their_own_schema() {
    let root = root().join("migrations");
    let modules: Vec<String> = fs::read_dir(&root)
        .expect("migrations")
        .flatten()
        .map(|entry| entry.file_name().display().to_string())
        .collect();
    for module in &modules {
        for file in fs::read_dir(root.join(module)).expect("a folder").flatten() {
            let path = file.path();
            let text = fs::read_to_string(&path).expect("a migration").to_lowercase();
            let code: Vec<&str> =
                text.lines().map(|line| line.split("--").next().unwrap_or_default()).collect();
            let code = code.join("\n");
            for other in &modules {
                let qualified = code.contains(&format!(" {other}.")) || code.contains(&format!("({other}."));
                assert!(!qualified, "{} names the schema {other}", path.display());
            }
            for forbidden in ["search_path", "create schema", "create role", "grant ", "notify"] {
                assert!(!code.contains(forbidden), "{}: {forbidden:?} is the platform's", path.display());
            }
        }
    }
    let cores: Vec<String> = members()
        .values()
        .filter(|member| member.kind == Kind::Core)
        .map(|member| module(&member.name).to_owned())
        .collect();
    for core in cores {
        assert!(modules.contains(&core), "{core} has no folder under migrations/");
    }
}

/// NOTIFY in a writing transaction serialises all commits.
#[test]
fn statements_do_not_notify() {
    for (path, text) in sources("modules").into_iter().chain(sources("platform")) {
        let notifies = text.contains("pg_notify(") || text.contains("\"notify ");
        assert!(!notifies, "{path}: a commit raises the signal, a statement never does");
    }
}

/// Modules and the rest of the platform open spans of `tracing` and record by the light API: who collects is known to
/// `platform/host` alone.
#[test]
fn only_the_host_links_what_exports_telemetry() {
    for member in members().values().filter(|member| member.name != "banyan-host") {
        let exports = |name: &&String| {
            name.starts_with("opentelemetry") && *name != "opentelemetry" || name.starts_with("tracing-")
        };
        // The sandbox is somebody else's program.
        let found = member.normal.iter().find(exports).filter(|_| member.kind != Kind::Sandbox);
        assert!(found.is_none(), "{} depends on {found:?}", member.name);
    }
    let other = sources("").into_iter().find(|(path, text)| {
        let is_host = path.starts_with("platform/host") || path.ends_with("architecture.rs");
        !is_host && text.contains("opentelemetry::trace")
    });
    assert!(other.is_none(), "{other:?} speaks of spans to the SDK: open a span of tracing");
}

/// Modules tell the bus, and whoever composes them says what carries it.
#[test]
fn kafka_is_known_to_its_own_crate_and_to_composition_roots() {
    for member in members().values().filter(|member| member.name != "banyan-kafka") {
        assert!(!member.normal.contains("rdkafka"), "{} links a client of its own", member.name);
        let composes = ROOTS.contains(&member.name.as_str()) || member.kind == Kind::Service;
        assert!(composes || !member.normal.contains("banyan-kafka"), "{} knows its carrier", member.name);
    }
}
