//! The public API's document: OpenAPI 3.1, kept in `pacts/openapi/public/v1.json`. A change of the API shows
//! in review as a change of that file; `BANYAN_UPDATE_PACTS=1 cargo test -p banyan openapi` writes it anew.

use std::{fs, path::PathBuf, sync::LazyLock};

use reqwest::Method;
use serde_json::Value;

use crate::shop::Call;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    let text = fs::read_to_string(path()).unwrap_or_default();
    serde_json::from_str(&text).unwrap_or_default()
});

fn path() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../pacts/openapi/public/v1.json")
}

fn operations(document: &Value) -> impl Iterator<Item = (String, &Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    paths.flat_map(|(path, item)| {
        let operations = item.as_object().expect("an item").iter();
        operations.map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
    })
}

/// A status that the document does not name for the operation fails the test; what is no operation is free.
pub(crate) fn must_say(method: &Method, path: &str, status: u16) {
    let path = path.split('?').next().unwrap_or_default();
    let fits = |template: &str| {
        let (template, path): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
        let same = |(t, p): (&&str, &&str)| t == p || (t.starts_with('{') && !p.is_empty());
        template.len() == path.len() && template.iter().zip(&path).all(same)
    };
    let called = operations(&DOCUMENT).find(|(name, _)| {
        name.split_once(' ').is_some_and(|(verb, template)| verb == method.as_str() && fits(template))
    });
    if let Some((name, operation)) = called {
        let said = operation["responses"].get(status.to_string()).is_some();
        assert!(said, "{name} answered {status}, which its document does not name");
    }
}

#[tokio::test]
async fn the_document_is_the_one_that_was_agreed() {
    let served = Call::get("/openapi.json").check(200, "").await.json();
    let text = serde_json::to_string_pretty(&served).expect("JSON") + "\n";
    if std::env::var_os("BANYAN_UPDATE_PACTS").is_some() {
        fs::create_dir_all(path().parent().expect("a folder")).expect("the folder");
        fs::write(path(), &text).expect("the document is written");
    }
    let agreed = fs::read_to_string(path()).unwrap_or_default();
    let first = text.lines().zip(agreed.lines()).position(|(new, old)| new != old);
    assert!(
        text == agreed,
        "the API is not what {} says, from line {:?} on; if that is meant, run this test with \
         BANYAN_UPDATE_PACTS=1 and commit the file",
        path().display(),
        first.map(|line| line + 1)
    );
}

#[tokio::test]
async fn every_operation_says_who_may_call_it_and_all_it_answers() {
    let document = Call::get("/openapi.json").check(200, "").await.json();
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    let mut count = 0;
    for (name, operation) in operations(&document) {
        count += 1;
        let says = |status: &str| operation["responses"].get(status).is_some();
        assert!(operation["summary"].as_str().is_some_and(|text| text.ends_with('.')), "{name}: no summary");
        assert!(operation["operationId"].is_string() && operation["tags"].is_array(), "{name}");
        let security = operation["security"].as_array().unwrap_or_else(|| panic!("{name}: no security"));
        let open = security.iter().any(|way| way.as_object().is_some_and(serde_json::Map::is_empty));
        let mut must: Vec<&str> = Vec::new();
        if !open {
            must.extend(["401", "503"]);
        }
        if operation["requestBody"].is_object() {
            must.extend(["400", "408", "413", "415", "422"]);
        }
        if operation["parameters"].to_string().contains(r#""in":"query""#) {
            must.push("400");
        }
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let templated = name.contains(&format!("{{{}}}", parameter["name"].as_str().expect("a name")));
            assert_eq!(parameter["in"] == "path", templated, "{name}: {parameter}");
        }
        if name.contains('{') {
            must.push("404");
        }
        for status in must {
            assert!(says(status), "{name} does not say {status}");
        }
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let problem = response["content"].to_string().contains("#/components/schemas/Problem");
            assert_eq!(problem, status.as_str() >= "400", "{name} {status}: a refusal is a Problem");
        }
    }
    assert_eq!(count, 33, "a new operation gets its cases in this folder; then raise this number");
}
