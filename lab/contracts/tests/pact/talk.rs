//! A consumer's side: a real client is driven against Pact's mock of its provider, and what was said becomes the pact.

use std::{env, fmt::Debug, fs, path::Path, sync::Arc, time::Duration};

use banyan_contracts::{Seam, Way, root};
use banyan_net::{
    call::{Bounds, Callee, Caller},
    port::{PortClient, ServiceKey, testing::key},
};
use pact_consumer::{
    patterns::{EachLike, JsonPattern, Like},
    prelude::{HttpPartBuilder, PactBuilder, StartMockServer},
    term,
};
use serde::Serialize;
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// Texts that a consumer acts upon: of everything else the form is enough.
const EXACT: [&str; 6] = ["code", "done", "kind", "sending", "source", "state"];

/// Lists of which a consumer expects no certain length, but something in them.
const OF_SEVERAL: [&str; 1] = ["services"];

/// All that a consumer says to a provider.
pub struct Talk {
    seam: Seam,
    /// As its callee knows it.
    provider: &'static str,
    key: Arc<ServiceKey>,
    folder: TempDir,
}

/// Whoever made Pact is told by it of every run, unless told not to: see the Makefile.
pub fn is_quiet() {
    let quiet = env::var("PACT_DO_NOT_TRACK").is_ok_and(|said| said == "true");
    assert!(
        quiet,
        "run by `make contracts`: Pact reports each run to its makers without PACT_DO_NOT_TRACK=true"
    );
}

/// The form of this value, with the texts that matter as they are.
pub fn form(value: &Value) -> JsonPattern {
    formed("", value)
}

fn formed(name: &str, value: &Value) -> JsonPattern {
    match value {
        Value::Array(items) if OF_SEVERAL.contains(&name) => {
            JsonPattern::pattern(EachLike::new(formed("", &items[0])).with_min_len(1))
        }
        Value::Array(items) => JsonPattern::Array(items.iter().map(|item| formed(name, item)).collect()),
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| (name.clone(), formed(name, value)));
            JsonPattern::Object(fields.collect())
        }
        Value::String(_) if EXACT.contains(&name) => JsonPattern::Json(value.clone()),
        leaf => JsonPattern::pattern(Like::<JsonPattern>::new(leaf.clone())),
    }
}

pub fn json_of(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("contract types have a JSON form")
}

impl Talk {
    /// Of these two.
    pub fn new(consumer: &'static str, provider: &'static str) -> Self {
        is_quiet();
        let folder = tempfile::tempdir().expect("a folder");
        let (key, _) = key(folder.path(), consumer);
        Self { seam: Seam::new(Way::Http, consumer, provider), provider, key, folder }
    }

    /// Where a provider is in this state, the question gets that answer, which the client hands on as it is.
    pub async fn ask<A: Serialize + PartialEq + Debug>(
        &self,
        operation: &str,
        given: &str,
        question: &impl Serialize,
        answer: A,
        call: impl AsyncFnOnce(PortClient) -> A,
    ) {
        let written = json_of(&answer);
        self.ask_as(operation, given, question, &written, answer, call).await;
    }

    /// The same, where the client makes something else of the answer.
    pub async fn ask_as<A: PartialEq + Debug>(
        &self,
        operation: &str,
        given: &str,
        question: &impl Serialize,
        written: &Value,
        answer: A,
        call: impl AsyncFnOnce(PortClient) -> A,
    ) {
        let mut pact = PactBuilder::new(self.seam.consumer.clone(), self.seam.provider.clone());
        pact.with_output_dir(self.folder.path());
        pact.interaction(format!("{operation}, where {given}"), String::new(), |mut i| {
            i.given(given);
            i.request.post().path(format!("/v1/{operation}")).json_body(json_of(question));
            i.request.content_type("application/json");
            i.request.header("Authorization", term!("^Bearer .+$", "Bearer a-token-of-the-consumer"));
            i.response.ok().content_type("application/json").json_body(form(written));
            i
        });
        // Stopped, it says what it was asked wrongly, or not at all.
        let mock = pact.start_mock_server(None, None);
        assert_eq!(
            call(client(self.provider, &self.key, mock.url().as_str())).await,
            answer,
            "{operation}, where {given}"
        );
    }

    /// What was said is what was agreed; `BANYAN_UPDATE_PACTS=1` writes it anew.
    pub fn agreed(self) {
        agreed(&self.seam, self.folder.path());
    }
}

/// Asks whoever is there as a module, with time enough for a busy machine.
pub fn client(module: &'static str, key: &Arc<ServiceKey>, address: &str) -> PortClient {
    let callee = Callee {
        time_out: Duration::from_secs(20),
        deadline: Duration::from_secs(30),
        bounds: Bounds::fixed(8),
        ..Callee::port(address.trim_end_matches('/').to_owned(), key.credential(module))
    };
    PortClient::new(module, Caller::new(module, callee).expect("a client"))
}

/// Compares what Pact wrote into a folder with the pact of this seam.
pub fn agreed(seam: &Seam, folder: &Path) {
    let said = folder.join(format!("{}-{}.json", seam.consumer, seam.provider));
    let said = fs::read_to_string(said).expect("a pact");
    let said = without_versions(serde_json::from_str(&said).expect("JSON"));
    let text = serde_json::to_string_pretty(&said).expect("JSON") + "\n";
    let path = root().join(seam.pact());
    if env::var_os("BANYAN_UPDATE_PACTS").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(&path, &text).expect("a pact");
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert!(known == text, "{} says something else: see BANYAN_UPDATE_PACTS", seam.pact());
}

/// Which release of Pact wrote it, and what it was asked first, says nothing of the contract.
fn without_versions(mut pact: Value) -> Value {
    let specification = pact["metadata"]["pactSpecification"].take();
    pact["metadata"] = json!({ "pactSpecification": specification });
    let interactions = pact["interactions"].as_array_mut().expect("interactions");
    interactions.sort_by_key(|it| it["description"].as_str().unwrap_or_default().to_owned());
    sorted(pact)
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(sorted).collect(),
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> =
                fields.into_iter().map(|(name, value)| (name, sorted(value))).collect();
            fields.sort_by(|(one, _), (other, _)| one.cmp(other));
            Value::Object(fields.into_iter().collect::<Map<String, Value>>())
        }
        leaf => leaf,
    }
}
