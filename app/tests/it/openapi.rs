//! The public API's document: OpenAPI 3.1, kept in `pacts/openapi/public/v1.json`. A change of the API shows
//! in review as a change of that file; `BANYAN_UPDATE_PACTS=1 cargo test -p banyan openapi` writes it anew.

use std::{fs, path::PathBuf, sync::LazyLock};

use banyan_kernel::Role;
use reqwest::{Method, header::HeaderMap};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    shop::{Answer, Call, Shop, sample_shop, until},
    webhooks::signed_now,
};

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(&agreed()).unwrap_or_default());

/// The document, as it is kept.
pub(crate) fn agreed() -> String {
    fs::read_to_string(path()).unwrap_or_default()
}

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

/// Headers of an answer that mean something to a client of this API, and so stand in its document.
const TELLING: [&str; 6] =
    ["consistency-token", "etag", "idempotent-replayed", "location", "retry-after", "www-authenticate"];

/// A status, or a header, that the document does not name for the operation fails the test; what is no operation is free.
pub(crate) fn must_say(method: &Method, path: &str, status: u16, headers: &HeaderMap) {
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
        let Some(said) = operation["responses"].get(status.to_string()) else {
            panic!("{name} answered {status}, which its document does not name");
        };
        let said: Vec<String> =
            said["headers"].as_object().into_iter().flatten().map(|(name, _)| name.to_lowercase()).collect();
        for header in TELLING.iter().filter(|header| headers.contains_key(**header)) {
            assert!(
                said.iter().any(|said| said == header),
                "{name} {status}: the document is silent about {header}"
            );
        }
        let kept = headers.get("cache-control").and_then(|kept| kept.to_str().ok()).unwrap_or_default();
        let forgotten = kept.contains("no-store");
        assert!(!headers.contains_key("etag") || !forgotten, "{name} {status}: a tag of what nobody keeps");
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
    let agreed = agreed();
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

#[tokio::test]
async fn the_document_says_what_a_stream_carries_and_what_a_repeat_is_marked_by() {
    let document = Call::get("/openapi.json").check(200, "").await.json();
    let stream = &document["paths"]["/v1/orders/{id}/events"]["get"]["responses"]["200"]["content"]["text/event-stream"];
    assert_eq!(stream["schema"]["$ref"], "#/components/schemas/OrderEventView");
    for (name, operation) in operations(&document) {
        let has_key = operation["parameters"].to_string().contains(r#""name":"Idempotency-Key""#);
        for (status, response) in operation["responses"].as_object().expect("responses") {
            let marked = response["headers"]["Idempotent-Replayed"].is_object();
            assert_eq!(marked, has_key && status.starts_with('2'), "{name} {status}");
            for (header, told) in response["headers"].as_object().into_iter().flatten() {
                let place = told["$ref"].as_str().and_then(|to| to.strip_prefix('#')).expect("a reference");
                assert!(document.pointer(place).is_some(), "{name} {status}: {header} is {told}");
            }
        }
    }
}

/// Each is sent as a reader of `/docs` would: as it stands there, by who may, once. First what changes something, then what is to
/// be seen of it, then what takes it away.
#[tokio::test]
async fn each_example_works_as_it_stands_in_a_shop_with_the_sample() {
    let document = Call::get("/openapi.json").check(200, "").await.json();
    let shop = sample_shop().await;
    let customer = &document["paths"]["/v1/customers/{id}"]["get"]["parameters"][0]["example"];
    let customer = customer.as_str().and_then(|id| id.parse().ok()).expect("the sample's customer");
    let mut all: Vec<_> = operations(&document).collect();
    all.sort_by_key(|(name, _)| {
        ["PUT", "POST", "GET", "DELETE"].iter().position(|verb| name.starts_with(verb))
    });
    for (name, operation) in all {
        let answer = as_it_stands(shop, customer, &name, operation).await;
        let expected = match operation["operationId"].as_str().expect("an id") {
            // Nobody but the gateway can sign; what it would send is heard, see below.
            "hear_gateway" => 401,
            _ => 200,
        };
        let fits = if expected == 200 { answer.status < 300 } else { answer.status == expected };
        assert!(fits, "{name}: {} {}", answer.status, answer.text);
    }
    let event =
        &document["paths"]["/v1/webhooks/payments"]["post"]["requestBody"]["content"]["application/json"];
    let event = event["example"].to_string();
    let signature = signed_now(shop, &event);
    Call::post("/v1/webhooks/payments")
        .header("stripe-signature", signature)
        .raw(&event)
        .send(shop)
        .await
        .is(204);
}

/// A question that is a POST since it has a body.
const ASKS_ALONE: &str = "quote";

/// Also of the operation that is added next.
#[tokio::test]
async fn who_only_reads_for_the_shop_changes_nothing() {
    let document = Call::get("/openapi.json").check(200, "").await.json();
    let shop = sample_shop().await;
    let service = format!("Bearer {}", shop.token(Role::Service, "reporting"));
    let by_whom = |operation: &Value| operation["security"][0].as_object().is_some_and(|who| !who.is_empty());
    let mut walked = 0;
    for (name, operation) in operations(&document) {
        if name.starts_with("GET ") || operation["operationId"] == ASKS_ALONE || !by_whom(operation) {
            continue;
        }
        let answer = example_call(&name, operation).authorization(&service).send(shop).await;
        assert!(matches!(answer.status, 403 | 404), "{name}: {} {}", answer.status, answer.text);
        walked += 1;
    }
    assert!(walked >= 10, "only {walked} operations change anything");
}

/// A parameter that has no example may be left out.
fn example_call(name: &str, operation: &Value) -> Call {
    let (verb, template) = name.split_once(' ').expect("a verb and a path");
    let (mut path, mut query, mut headers) = (template.to_owned(), Vec::new(), Vec::new());
    for parameter in operation["parameters"].as_array().into_iter().flatten() {
        let (key, example) = (parameter["name"].as_str().expect("a name"), &parameter["example"]);
        if example.is_null() {
            assert_ne!(parameter["required"], true, "{name}: {key} has no example");
            continue;
        }
        let example = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
        match parameter["in"].as_str() {
            Some("path") => path = path.replace(&format!("{{{key}}}"), &example),
            Some("query") => query.push(format!("{key}={example}")),
            _ => headers.push((key, example)),
        }
    }
    let mut call = Call::new(verb.parse().expect("a verb"), &format!("{path}?{}", query.join("&")));
    if operation["requestBody"].is_object() {
        let body = &operation["requestBody"]["content"]["application/json"]["example"];
        assert!(body.is_object(), "{name}: its body has no example");
        call = call.json(body);
    }
    headers.into_iter().fold(call, |call, (key, value)| call.header(key, value))
}

/// By a customer where it is for customers, else by staff.
async fn as_it_stands(shop: &Shop, customer: Uuid, name: &str, operation: &Value) -> Answer {
    let call = example_call(name, operation);
    until("an answer that stands", async || {
        let by_staff = call.clone().staff().send(shop).await;
        let answer =
            if by_staff.status == 403 { call.clone().customer(customer).send(shop).await } else { by_staff };
        // A mail comes by the bus, and may still be on its way.
        let comes = answer.status == 503 || (answer.status == 404 && name.contains("/mails/"));
        (!comes).then_some(answer)
    })
    .await
}
