//! Every SQL statement, under the module's role.

use std::{fs, path::Path};

use sqlx::AssertSqlSafe;

use crate::world::World;

/// The texts of all constants in `src` that begin as SQL does: none can be forgotten.
fn statements() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for file in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("src")).expect("src") {
        let path = file.expect("a file").path();
        if path.is_dir() {
            continue;
        }
        let text = fs::read_to_string(path).expect("source");
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
    assert!(all.len() >= 17, "the search for statements finds {}", all.len());
    for (at, (name, sql)) in all.into_iter().enumerate() {
        let prepare = format!("prepare statement_{at} as {sql}");
        let prepared = sqlx::query(AssertSqlSafe(prepare)).execute(world.store.pool()).await;
        assert!(prepared.is_ok(), "{name}: {sql}: {:?}", prepared.err());
    }
}

#[tokio::test]
async fn the_role_sees_its_own_schema_alone_and_changes_no_event() {
    let world = World::new().await;
    let superuser = world.superuser().await;
    for statement in ["create schema other", "create table other.secret (n int)"] {
        sqlx::query(statement).execute(&superuser).await.expect(statement);
    }
    for refused in [
        "select * from other.secret",
        "create table other.mine (n int)",
        "create table public.mine (n int)",
        "update order_event set at = now()",
        "delete from order_event",
        "truncate order_event",
        "delete from outbox",
    ] {
        let error = sqlx::query(refused).execute(world.store.pool()).await.expect_err(refused);
        let code = error.as_database_error().and_then(|error| error.code()).expect(refused).into_owned();
        assert_eq!(code, "42501", "{refused}: {error}");
    }
}
