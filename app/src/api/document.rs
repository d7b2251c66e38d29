//! The API's own document, OpenAPI 3.1: each operation stands beside its handler; what is true of many of them is added here.

use utoipa::{
    Modify,
    openapi::{
        Content, HeaderBuilder, OpenApi as Whole, Ref, RefOr, Response, ResponseBuilder, Schema, Type,
        header::Header,
        path::{Operation, Parameter},
        schema::{Object, SchemaType},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use super::examples;

pub(super) struct Bearer;

impl Modify for Bearer {
    fn modify(&self, document: &mut Whole) {
        let scheme = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        document.components.get_or_insert_default().add_security_scheme("bearer", scheme);
    }
}

/// Adds what is true of many operations: problems, headers, examples.
pub(super) fn complete(document: &mut Whole) {
    let headers_once = header_components().map(|(name, header)| (name.to_owned(), header.into()));
    document.components.get_or_insert_default().headers.extend(headers_once);
    for (path, item) in &mut document.paths.paths {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete];
        for operation in operations.into_iter().flatten() {
            for parameter in operation.parameters.iter_mut().flatten() {
                if let RefOr::T(parameter) = parameter {
                    never_null(parameter);
                }
            }
            may_be_too_many(operation);
            problems(operation);
            headers(operation);
            examples::fill(path, operation);
        }
    }
}

fn problem() -> Content {
    Content::new(Some(Ref::from_schema_name("Problem")))
}

/// Any request may be one too many, see [`banyan_net::identify`].
fn may_be_too_many(operation: &mut Operation) {
    let too_many = ResponseBuilder::new()
        .description("Too many requests; `Retry-After` says when to come back.")
        .content("application/json", problem());
    let responses = &mut operation.responses.responses;
    responses.entry("429".to_owned()).or_insert_with(|| too_many.build().into());
}

/// A problem has a media type of its own (RFC 9457).
fn problems(operation: &mut Operation) {
    for response in answers(operation).map(|(_, response)| response) {
        if response.content.get("application/json") == Some(&problem().into()) {
            response.content.shift_remove("application/json");
            response.content.insert("application/problem+json".to_owned(), problem().into());
        }
    }
}

fn answers(operation: &mut Operation) -> impl Iterator<Item = (&String, &mut Response)> {
    let responses = operation.responses.responses.iter_mut();
    responses.filter_map(|(status, response)| match response {
        RefOr::T(response) => Some((status, response)),
        RefOr::Ref(_) => None,
    })
}

/// Whose answers say which version it is.
const TAGGED: [&str; 4] = ["show_order", "show_product", "change_product", "retire_product"];
/// Whose answers say what a list must show at least.
const WRITES_ORDERS: [&str; 2] = ["place_order", "cancel_order"];

const REPLAYED: &str = "Idempotent-Replayed";
const TOKEN: &str = "Consistency-Token";
const LOCATION: &str = "Location";
const ETAG: &str = "ETag";
const CHALLENGE: &str = "WWW-Authenticate";
const RETRY_AFTER: &str = "Retry-After";

/// Said once, and pointed to by each answer that has one.
fn header_components() -> [(&'static str, Header); 6] {
    let header = |kind, description: &str| {
        HeaderBuilder::new().schema(Some(Object::with_type(kind))).description(Some(description)).build()
    };
    [
        (REPLAYED, header(Type::String, "`true`: it was done before, and this is that answer.")),
        (TOKEN, header(Type::String, "A list that is asked with it shows at least this.")),
        (LOCATION, header(Type::String, "Where what was made can be looked at.")),
        (ETAG, header(Type::String, "The version.")),
        (CHALLENGE, header(Type::String, "`Bearer`.")),
        (
            RETRY_AFTER,
            header(Type::Integer, "After so many seconds the same request may be answered otherwise."),
        ),
    ]
}

/// The headers of answers, besides those that every answer of HTTP may have.
fn headers(operation: &mut Operation) {
    let id = operation.operation_id.clone().unwrap_or_default();
    let id = id.as_str();
    let has_key = operation.parameters.iter().flatten().any(is_key);
    for (status, response) in answers(operation) {
        let done = status.starts_with('2');
        let passes = ["409", "412", "429", "503"].contains(&&**status);
        let said = [
            (REPLAYED, done && has_key),
            (TOKEN, done && WRITES_ORDERS.contains(&id)),
            (LOCATION, done && id == "place_order"),
            (ETAG, (done || status == "304") && TAGGED.contains(&id)),
            (CHALLENGE, status == "401"),
            (RETRY_AFTER, passes),
        ];
        let said = said.into_iter().filter(|(_, applies)| *applies);
        let reference = |name: &str| RefOr::Ref(Ref::new(format!("#/components/headers/{name}")));
        response.headers.extend(said.map(|(name, _)| (name.to_owned(), reference(name))));
    }
}

fn is_key(parameter: &RefOr<Parameter>) -> bool {
    matches!(parameter, RefOr::T(parameter) if parameter.name == "Idempotency-Key")
}

/// A parameter may be absent; what is there is text, and never JSON's null.
fn never_null(parameter: &mut Parameter) {
    if let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema
        && let SchemaType::Array(types) = &mut schema.schema_type
    {
        types.retain(|kind| *kind != Type::Null);
        if let [only] = &types[..] {
            schema.schema_type = SchemaType::Type(only.clone());
        }
    }
}
