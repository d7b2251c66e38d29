//! Whether a client of one OpenAPI document can live with another: what would break it, in words.
//!
//! A client sends what the old document allows and reads what it promises. So a request may only become wider, and an answer only
//! narrower; what is merely new breaks nobody. As "robustness" goes in RFC 9413, not in RFC 761: our requests refuse what they do not
//! know, so that a member that is taken away is refused, too. Bounds, patterns and combinations (`oneOf`) are not compared.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

/// What would break a client of `old` that talks to `new`; empty when nothing would.
///
/// ```
/// # use banyan_lab::contracts::breaking;
/// # use serde_json::json;
/// let old = json!({"paths": {"/v1/tea": {"get": {"responses": {"200": {}}}}}});
/// assert_eq!(breaking(&old, &old), [] as [String; 0]);
/// assert_eq!(breaking(&old, &json!({"paths": {}})), ["GET /v1/tea: it is gone"]);
/// ```
#[must_use]
pub fn breaking(old: &Value, new: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for (path, item) in members(&old["paths"]) {
        for (method, operation) in members(item) {
            let name = format!("{} {path}", method.to_uppercase());
            let mut compare = Compare { old, new, name, found: &mut found, seen: BTreeSet::new() };
            compare.operation(operation, &new["paths"][path][method]);
        }
    }
    found
}

/// Which way a schema travels.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    /// From the client: what it may say.
    Request,
    /// To the client: what it was promised.
    Answer,
}

struct Compare<'a> {
    old: &'a Value,
    new: &'a Value,
    name: String,
    found: &'a mut Vec<String>,
    /// Pairs of named schemas that were compared: they may contain themselves.
    seen: BTreeSet<(String, String, Way)>,
}

impl<'a> Compare<'a> {
    fn says(&mut self, what: &str) {
        self.found.push(format!("{}: {what}", self.name));
    }

    fn operation(&mut self, old: &'a Value, new: &'a Value) {
        if new.is_null() {
            return self.says("it is gone");
        }
        self.parameters(&old["parameters"], &new["parameters"]);
        let body = |operation: &'a Value| &operation["requestBody"]["content"]["application/json"]["schema"];
        if body(old).is_null() && new["requestBody"]["required"] == true {
            self.says("it asks for a body");
        }
        if !body(old).is_null() {
            self.schema(body(old), body(new), Way::Request, "the body");
        }
        for (status, answer) in members(&old["responses"]).filter(|(status, _)| status.starts_with('2')) {
            let is = &new["responses"][status];
            if is.is_null() {
                self.says(&format!("it does not answer {status} any more"));
            }
            for (kind, content) in members(&answer["content"]) {
                self.schema(
                    &content["schema"],
                    &is["content"][kind]["schema"],
                    Way::Answer,
                    &format!("the {status}"),
                );
            }
        }
    }

    fn parameters(&mut self, old: &'a Value, new: &'a Value) {
        let named = |all: &'a Value, one: &Value| {
            elements(all).find(|other| other["name"] == one["name"] && other["in"] == one["in"])
        };
        for parameter in elements(old) {
            let name = format!("parameter {}", parameter["name"].as_str().unwrap_or_default());
            match named(new, parameter) {
                None => self.says(&format!("{name} is gone")),
                Some(is) => {
                    if is["required"] == true && parameter["required"] != true {
                        self.says(&format!("{name} must be given"));
                    }
                    self.schema(&parameter["schema"], &is["schema"], Way::Request, &name);
                }
            }
        }
        for parameter in elements(new) {
            if named(old, parameter).is_none() && parameter["required"] == true {
                self.says(&format!("it asks for {}", parameter["name"].as_str().unwrap_or_default()));
            }
        }
    }

    fn schema(&mut self, old: &'a Value, new: &'a Value, way: Way, at: &str) {
        if let (Some(before), Some(after)) = (old["$ref"].as_str(), new["$ref"].as_str())
            && !self.seen.insert((before.to_owned(), after.to_owned(), way))
        {
            return;
        }
        let (old, new) = (resolve(self.old, old), resolve(self.new, new));
        if new.is_null() && !old.is_null() {
            return self.says(&format!("{at} is gone"));
        }
        let (before, after) = (types(old), types(new));
        let fits = match way {
            Way::Request => before.is_subset(&after),
            Way::Answer => after.is_subset(&before),
        };
        if !fits && !before.is_empty() && !after.is_empty() {
            self.says(&format!("{at} was {} and is {}", words(&before), words(&after)));
        }
        self.values(old, new, way, at);
        self.members(old, new, way, at);
        if !old["items"].is_null() {
            self.schema(&old["items"], &new["items"], way, &format!("an item of {at}"));
        }
    }

    /// Of an enumeration.
    fn values(&mut self, old: &'a Value, new: &'a Value, way: Way, at: &str) {
        let all =
            |schema: &'a Value| elements(&schema["enum"]).filter_map(Value::as_str).collect::<BTreeSet<_>>();
        let (before, after) = (all(old), all(new));
        let (had, has) = (!before.is_empty(), !after.is_empty());
        let lost: Vec<&str> = match way {
            Way::Request if has => before.difference(&after).copied().collect(),
            Way::Answer if had => after.difference(&before).copied().collect(),
            Way::Request | Way::Answer => Vec::new(),
        };
        for value in lost {
            self.says(&match way {
                Way::Request => format!("{at} may not be {value} any more"),
                Way::Answer => format!("{at} may be {value}, which nobody knew"),
            });
        }
    }

    fn members(&mut self, old: &'a Value, new: &'a Value, way: Way, at: &str) {
        let must = |schema: &'a Value| {
            elements(&schema["required"]).filter_map(Value::as_str).collect::<BTreeSet<_>>()
        };
        let (before, after) = (must(old), must(new));
        for (name, schema) in members(&old["properties"]) {
            let inner = format!("{name} of {at}");
            self.schema(schema, &new["properties"][name], way, &inner);
        }
        let is_there = |name: &&&str| !new["properties"][**name].is_null();
        let (asked, promised) = (after.difference(&before), before.difference(&after).filter(is_there));
        match way {
            Way::Request => asked.for_each(|name| self.says(&format!("{name} of {at} must be given"))),
            Way::Answer => promised.for_each(|name| self.says(&format!("{name} of {at} may be missing"))),
        }
    }
}

/// A schema behind its reference.
fn resolve<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    let pointer = schema["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.map_or(schema, |pointer| document.pointer(pointer).unwrap_or(&Value::Null))
}

fn types(schema: &Value) -> BTreeSet<&str> {
    match &schema["type"] {
        Value::String(one) => BTreeSet::from([one.as_str()]),
        Value::Array(all) => all.iter().filter_map(Value::as_str).collect(),
        _ => BTreeSet::new(),
    }
}

fn words(types: &BTreeSet<&str>) -> String {
    types.iter().copied().collect::<Vec<_>>().join(" or ")
}

fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn document(schema: &Value) -> Value {
        let content = json!({"application/json": {"schema": {"$ref": "#/components/schemas/Tea"}}});
        json!({
            "paths": {"/v1/tea": {"put": {
                "parameters": [{"name": "cup", "in": "query", "schema": {"type": "string"}}],
                "requestBody": {"content": content},
                "responses": {"200": {"content": content}, "404": {}},
            }}},
            "components": {"schemas": {"Tea": schema}},
        })
    }

    /// What would break a client when the schema becomes another: as a body, and as an answer.
    fn found(old: &Value, new: &Value) -> Vec<String> {
        breaking(&document(old), &document(new))
    }

    #[test]
    fn a_request_may_become_wider_and_an_answer_narrower() {
        let leaf = json!({"type": "object", "required": ["kind"], "properties": {
            "kind": {"type": "string", "enum": ["black", "green"]}, "grams": {"type": ["integer", "null"]}}});
        let with = |change: &dyn Fn(&mut Value)| {
            let mut new = leaf.clone();
            change(&mut new);
            found(&leaf, &new)
        };
        assert_eq!(with(&|_| {}), [] as [String; 0]);
        assert_eq!(with(&|new| new["properties"]["note"] = json!({"type": "string"})), [] as [String; 0]);
        assert_eq!(
            with(&|new| drop(new["properties"].as_object_mut().expect("members").remove("grams"))),
            ["PUT /v1/tea: grams of the body is gone", "PUT /v1/tea: grams of the 200 is gone"]
        );
        assert_eq!(
            with(&|new| new["required"] = json!(["kind", "grams"])),
            ["PUT /v1/tea: grams of the body must be given"]
        );
        assert_eq!(with(&|new| new["required"] = json!([])), ["PUT /v1/tea: kind of the 200 may be missing"]);
        assert_eq!(
            with(&|new| new["properties"]["kind"]["enum"] = json!(["black"])),
            ["PUT /v1/tea: kind of the body may not be green any more"]
        );
        assert_eq!(
            with(&|new| new["properties"]["kind"]["enum"] = json!(["black", "green", "white"])),
            ["PUT /v1/tea: kind of the 200 may be white, which nobody knew"]
        );
        assert_eq!(
            with(&|new| new["properties"]["grams"]["type"] = json!("integer")),
            ["PUT /v1/tea: grams of the body was integer or null and is integer"]
        );
        assert_eq!(
            with(&|new| new["properties"]["kind"] = json!({"type": ["string", "null"]})),
            ["PUT /v1/tea: kind of the 200 was string and is null or string"]
        );
    }

    #[test]
    fn operations_parameters_and_answers_stay() {
        let old = document(
            &json!({"type": "object", "properties": {"again": {"$ref": "#/components/schemas/Tea"}}}),
        );
        let with = |at: &str, becomes: Value| {
            let mut new = old.clone();
            *new.pointer_mut(at).expect("it is there") = becomes;
            breaking(&old, &new)
        };
        let put = "/paths/~1v1~1tea/put";
        assert_eq!(with("/paths", json!({})), ["PUT /v1/tea: it is gone"]);
        assert_eq!(with(&format!("{put}/parameters"), json!([])), ["PUT /v1/tea: parameter cup is gone"]);
        let asked = json!([{"name": "cup", "in": "query", "schema": {"type": "string"}}, {"name": "who", "in": "header", "required": true}]);
        assert_eq!(with(&format!("{put}/parameters"), asked), ["PUT /v1/tea: it asks for who"]);
        let must = json!([{"name": "cup", "in": "query", "required": true, "schema": {"type": "string"}}]);
        assert_eq!(with(&format!("{put}/parameters"), must), ["PUT /v1/tea: parameter cup must be given"]);
        assert_eq!(
            with(&format!("{put}/responses"), json!({"404": {}})),
            ["PUT /v1/tea: it does not answer 200 any more", "PUT /v1/tea: the 200 is gone"]
        );
    }
}
