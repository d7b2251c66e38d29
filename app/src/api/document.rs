//! The API's own document, OpenAPI 3.1: each operation stands beside its handler; what is true of many of them is added here.

use utoipa::{
    Modify,
    openapi::{
        Content, HeaderBuilder, OpenApi as Whole, Ref, RefOr, Required, Response, ResponseBuilder, Schema,
        Type,
        header::Header,
        path::{Operation, Parameter, ParameterBuilder, ParameterIn},
        schema::{ArrayBuilder, Object, SchemaType},
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
        let operations =
            [(&mut item.get, false), (&mut item.put, true), (&mut item.post, true), (&mut item.delete, true)];
        for (operation, writes) in operations {
            let Some(operation) = operation else { continue };
            if !writes && path.starts_with("/v1/") {
                takes_tokens(operation);
            }
            for parameter in operation.parameters.iter_mut().flatten() {
                if let RefOr::T(parameter) = parameter {
                    never_null(parameter);
                }
            }
            if !path.starts_with("/health/") {
                may_be_too_many(operation);
            }
            problems(operation);
            headers(operation, writes);
            examples::fill(path, operation);
        }
    }
}

fn problem() -> Content {
    Content::new(Some(Ref::from_schema_name("Problem")))
}

/// Every read may ask for what a write has answered, see [`super::consistency`].
fn takes_tokens(operation: &mut Operation) {
    let tokens = ArrayBuilder::new()
        .items(Ref::from_schema_name("ConsistencyToken"))
        .min_items(Some(1))
        .max_items(Some(16));
    let parameter = ParameterBuilder::new()
        .name(TOKEN)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("What writes answered: at least that must be shown."))
        .schema(Some(tokens));
    operation.parameters.get_or_insert_default().push(parameter.build().into());
    let wrong = ResponseBuilder::new()
        .description("No Consistency-Token of this shop.")
        .content("application/json", problem());
    let responses = &mut operation.responses.responses;
    responses.entry("400".to_owned()).or_insert_with(|| wrong.build().into());
}

/// Any request but a supervisor's may be one too many, see [`banyan_net::identify`].
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
/// Who changes nothing that is the shop's: a question, and a hint.
const NO_WRITES: [&str; 2] = ["quote", "hear_gateway"];

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
        (TOKEN, header(Type::String, "A read that is asked with it shows at least this.")),
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
fn headers(operation: &mut Operation, writes: bool) {
    let id = operation.operation_id.clone().unwrap_or_default();
    let id = id.as_str();
    let has_key = operation.parameters.iter().flatten().any(is_key);
    for (status, response) in answers(operation) {
        let done = status.starts_with('2');
        let passes = ["409", "412", "429", "503"].contains(&&**status);
        let said = [
            (REPLAYED, done && has_key),
            (TOKEN, done && writes && !NO_WRITES.contains(&id)),
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
