//! J2: a module sees its own schema and no other; the compiler, the crate graph and PostgreSQL see to it.

use std::{path::Path, process::Command};

use banyan_lab::stage::ShopClient;
use banyan_store::sqlx::{self, AssertSqlSafe, PgPool};
use serde_json::Value;

use super::{Cast, Row, Shown, open, role_pool};

pub const ROW: Row = Row {
    name: "J2",
    title: "boundaries: no module reaches into another, in the program or in the database",
    says: [
        "Each module's login asks for every other module's rows, and PostgreSQL refuses each time.",
        "Each SQL statement is prepared under its own module's login; the crate graph is checked for shortcuts.",
    ],
    without: &[("role", "the same questions by a login that sees everything: all are answered")],
    file: "platform/store/src/migrate.rs",
    play: |cast| Box::pin(play(cast)),
};

const TABLES: [(&str, &str); 6] = [
    ("catalog", "product"),
    ("inventory", "reservation"),
    ("notifications", "contact"),
    ("orders", "order_event"),
    ("payments", "payment"),
    ("shipping", "shipment"),
];

async fn play(cast: Cast) -> Shown {
    let stage = Cast { without: None, ..cast }.stage();
    let shop = open(&stage, super::ShopOptions::default()).await;
    let (mut asked, mut refused) = (0, 0);
    for (module, _) in TABLES {
        let login = if cast.without.is_some() { shop.superuser_pool() } else { role_pool(&shop, module) };
        for (other, table) in TABLES.iter().filter(|(other, _)| *other != module) {
            asked += 1;
            refused +=
                usize::from(is_refused(&login, &format!("select * from {other}.{table} limit 1")).await);
        }
    }
    if cast.without.is_some() {
        let figure = format!("{refused} of {asked} looks into another module's rows refused");
        return Shown { figure, as_said: refused == 0 };
    }
    let (prepared, failed) = statements(&shop).await;
    let shortcuts = shortcuts();
    failed.iter().chain(shortcuts.iter().flatten()).for_each(|what| println!("    {what}"));
    let graph = shortcuts.as_ref().map_or("no cargo to ask for the crate graph".to_owned(), |found| {
        format!("{} shortcuts in the crate graph", found.len())
    });
    let figure = format!(
        "{refused} of {asked} looks into another module's rows refused; {prepared} statements prepared under \
         their own login, {} not; {graph}",
        failed.len()
    );
    let clean = failed.is_empty() && prepared > 0 && shortcuts.is_none_or(|found| found.is_empty());
    Shown { figure, as_said: refused == asked && clean }
}

/// PostgreSQL's word for it is 42501, insufficient privilege.
async fn is_refused(login: &PgPool, question: &str) -> bool {
    let asked = sqlx::query(AssertSqlSafe(question.to_owned())).execute(login).await;
    asked.is_err_and(|error| error.as_database_error().is_some_and(|e| e.code().as_deref() == Some("42501")))
}

/// How many statements of the modules' sources prepare under their module's login, and which do not.
async fn statements(shop: &ShopClient) -> (usize, Vec<String>) {
    let (mut prepared, mut failed) = (0, Vec::new());
    for (module, _) in TABLES {
        let login = role_pool(shop, module);
        let sources = Path::new("modules").join(module).join("core/src");
        if !sources.is_dir() {
            failed.push(format!("{} is not there: run it from the repository's root", sources.display()));
            continue;
        }
        for (at, (name, sql)) in banyan_store::testing::statements(&sources).into_iter().enumerate() {
            let statement = format!("prepare lab_{at} as {sql}");
            match sqlx::query(AssertSqlSafe(statement)).execute(&login).await {
                Ok(_) => prepared += 1,
                Err(error) => failed.push(format!("{module}'s {name}: {error}")),
            }
        }
    }
    (prepared, failed)
}

/// Dependencies that would let one module name another's implementation; none, if cargo cannot be asked.
fn shortcuts() -> Option<Vec<String>> {
    let cargo =
        Command::new("cargo").args(["metadata", "--no-deps", "--format-version", "1"]).output().ok()?;
    let metadata: Value = serde_json::from_slice(&cargo.stdout).ok()?;
    let packages = metadata["packages"].as_array()?;
    println!("    {} crates of the workspace looked at", packages.len());
    let edges = packages.iter().flat_map(|package| {
        let dependencies = package["dependencies"].as_array().into_iter().flatten();
        // Of the dependencies alone; those for tests and builds have a kind.
        let normal = dependencies.filter(|on| on["kind"].is_null() && on["optional"] == false);
        normal
            .map(|on| (package["name"].as_str().unwrap_or_default(), on["name"].as_str().unwrap_or_default()))
    });
    let crossed = edges.filter(|(of, on)| is_shortcut(of, on));
    Some(crossed.map(|(of, on)| format!("{of} depends on {on}")).collect())
}

fn is_shortcut(of: &str, on: &str) -> bool {
    // Who wires implementations: the shop, the lab, and each service's main.
    let is_root = ["banyan", "banyan-lab"].contains(&of) || of.ends_with("-service");
    let (platform, contract) = (of.starts_with("banyan-"), of.ends_with("-api"));
    let (core, api) = (on.ends_with("-core"), on.ends_with("-api"));
    let leaf = ["banyan-kernel", "serde", "utoipa", "async-trait"].contains(&on);
    !is_root && (core || platform && api) || contract && !leaf && !api
}
