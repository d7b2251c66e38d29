//! For tests of modules: every SQL statement of a crate, under the module's role.

use std::{fs, path::Path};

use sqlx::{AssertSqlSafe, PgPool};

const VERBS: [&str; 5] = ["select ", "insert ", "update ", "delete ", "with "];

/// Prepares each constant below `source` whose text begins as SQL does, and tells how many there were, so that a
/// test can hold the search itself to account. None can be forgotten, as nobody lists them.
///
/// # Panics
/// At the first that PostgreSQL does not prepare, with its name and the reason.
pub async fn prepare_all(source: &Path, pool: &PgPool) -> usize {
    let statements = statements(source);
    for (at, (name, sql)) in statements.iter().enumerate() {
        let prepare = format!("prepare statement_{at} as {sql}");
        let prepared = sqlx::query(AssertSqlSafe(prepare)).execute(pool).await;
        assert!(prepared.is_ok(), "{name}: {sql}: {:?}", prepared.err());
    }
    statements.len()
}

/// Tries, as the module, what its role is refused: to look at another schema, to make a table outside its own, to
/// take back what it told, and the `changes` of what it may only add to.
///
/// # Panics
/// At the first that PostgreSQL lets pass, or refuses for another reason than the privilege (42501).
pub async fn refuse_all(module: &PgPool, superuser: &PgPool, changes: &[&'static str]) {
    for statement in ["create schema other", "create table other.secret (n int)"] {
        sqlx::query(statement).execute(superuser).await.expect(statement);
    }
    let outside = [
        "select * from other.secret",
        "create table other.mine (n int)",
        "create table public.mine (n int)",
        "delete from outbox",
    ];
    for refused in outside.iter().chain(changes) {
        let error = sqlx::query(*refused).execute(module).await.expect_err(refused);
        let code = error.as_database_error().and_then(|error| error.code()).expect(refused).into_owned();
        assert_eq!(code, "42501", "{refused}: {error}");
    }
}

/// Name and text of each such constant.
///
/// # Panics
/// When the folder cannot be read.
#[must_use]
pub fn statements(source: &Path) -> Vec<(String, String)> {
    let entries = fs::read_dir(source).unwrap_or_else(|error| panic!("{}: {error}", source.display()));
    let paths = entries.map(|entry| entry.expect("an entry of a folder that is there").path());
    paths
        .flat_map(|path| match path.extension() {
            _ if path.is_dir() => statements(&path),
            Some(extension) if extension == "rs" => constants(&fs::read_to_string(path).expect("source")),
            _ => Vec::new(),
        })
        .collect()
}

/// Name and text of each constant that is SQL.
fn constants(text: &str) -> Vec<(String, String)> {
    let constant = |text: &str| {
        let (name, rest) = text.split_once(": &str =")?;
        let literal = literal(rest.trim_start().strip_prefix('"')?);
        let sql = literal.split("\\\n").map(str::trim_start).collect::<String>();
        VERBS.iter().any(|verb| sql.starts_with(verb)).then(|| (name.to_owned(), sql))
    };
    text.split("const ").skip(1).filter_map(constant).collect()
}

/// A literal up to its closing quote, with its escaped quotes as they are meant.
fn literal(text: &str) -> String {
    let end = text.match_indices('"').find(|(at, _)| !text[..*at].ends_with('\\'));
    text[..end.map_or(text.len(), |(at, _)| at)].replace("\\\"", "\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_constant_that_is_sql_is_found_over_its_lines_and_others_are_not() {
        let text = "const PAGE: &str = \"select a \\\n     from b\";\nconst NAME: &str = \"page\";\nconst C: &str = \"select a \\\"C\\\"\";\nconst N: u8 = 1;";
        let found = [("PAGE", "select a from b"), ("C", "select a \"C\"")];
        assert_eq!(constants(text), found.map(|(name, sql)| (name.to_owned(), sql.to_owned())));
    }
}
