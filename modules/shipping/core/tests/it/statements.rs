//! Every SQL statement, under the module's role.

use std::{fs, path::Path};

use sqlx::AssertSqlSafe;

use crate::world::World;

/// The texts of all constants in `src` that begin as SQL does: none can be forgotten.
fn statements() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("src") {
        let text = fs::read_to_string(file.expect("a file").path()).expect("source");
        for constant in text.split("const ").skip(1) {
            let Some((name, rest)) = constant.split_once(": &str =") else { continue };
            let literal = rest.trim_start().trim_start_matches('"').split('"').next().unwrap_or_default();
            let sql = literal.split("\\\n").map(str::trim_start).collect::<String>();
            if ["select ", "insert ", "update ", "delete ", "with "].iter().any(|verb| sql.starts_with(verb))
            {
                found.push((name.to_owned(), sql));
            }
        }
    }
    found
}

#[tokio::test]
async fn each_prepares_under_the_modules_role() {
    let world = World::new().await;
    let all = statements();
    assert!(all.len() >= 6, "the search for statements finds {}", all.len());
    for (at, (name, sql)) in all.into_iter().enumerate() {
        let prepare = format!("prepare statement_{at} as {sql}");
        let prepared = sqlx::query(AssertSqlSafe(prepare)).execute(world.store.pool()).await;
        assert!(prepared.is_ok(), "{name}: {sql}: {:?}", prepared.err());
    }
}
