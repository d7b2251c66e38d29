//! A port by HTTP: what every contract's HTTP form shares, so that each of them is a list of its operations.
//!
//! An operation is `POST /v1/NAME`, a question in JSON and an answer in JSON. What came of an item is said by its [`Answer`], in a 200;
//! other statuses speak of the request as a whole, as a [`Problem`]. A question carries whatever makes asking twice harmless,
//! so all of it may be sent again.

mod client;
mod described;
mod door;
mod served;
#[cfg(feature = "testing")]
pub mod testing;
mod token;

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    middleware::from_fn_with_state,
    response::IntoResponse,
    routing::{MethodRouter, post},
};
use banyan_kernel::{Answer, Command};
use serde::{Serialize, de::DeserializeOwned};
use utoipa::{
    ToSchema,
    openapi::{
        Components, ContentBuilder, HttpMethod, InfoBuilder, OpenApi, OpenApiBuilder, PathItem, PathsBuilder,
        RefOr, Required, Response, ResponseBuilder, Schema,
        path::OperationBuilder,
        request_body::RequestBodyBuilder,
        security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme},
    },
};

use crate::{Problem, measure};

pub use client::{CheckError, PortClient};
pub use described::Described;
pub use door::{DATABASE_HEADER, DatabaseIdentity, Door};
pub use token::{Callers, ServiceKey, public_key};

/// Of one request; a batch of a few hundred orders is far below.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Of one batch. A client asks in several calls for more.
pub const ITEMS_MAX: usize = 500;

/// A contract's HTTP form: its operations over `S`, which is whatever implements it.
pub struct Port<S> {
    module: &'static str,
    about: &'static str,
    operations: Vec<Operation<S>>,
    schemas: Vec<(String, RefOr<Schema>)>,
    body_bytes_max: usize,
}

struct Operation<S> {
    name: &'static str,
    about: &'static str,
    question: RefOr<Schema>,
    answer: RefOr<Schema>,
    handler: MethodRouter<S>,
}

impl<S: Clone + Send + Sync + 'static> Port<S> {
    /// Of a module, without operations.
    #[must_use]
    pub fn new(module: &'static str, about: &'static str) -> Self {
        let (operations, schemas) = (Vec::new(), described::shared());
        Self { module, about, operations, schemas, body_bytes_max: BODY_BYTES_MAX }
    }

    /// With questions that may be longer than [`BODY_BYTES_MAX`], as they are one commit and cannot be asked in parts.
    #[must_use]
    pub fn bodies_up_to(self, bytes: usize) -> Self {
        Self { body_bytes_max: bytes, ..self }
    }

    /// A batch of commands, answered in its order, one by one.
    #[must_use]
    pub fn batch<B, R, F>(
        mut self,
        name: &'static str,
        about: &'static str,
        ask: impl Fn(S, Vec<Command<B>>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        B: DeserializeOwned + ToSchema + Send + Sync + 'static,
        R: Serialize + ToSchema + Send + Sync + 'static,
        F: Future<Output = Vec<Answer<R>>> + Send + 'static,
    {
        let question = described::commands::<B>(&mut self.schemas);
        let answer = Vec::<Answer<R>>::described(&mut self.schemas);
        self.operation((name, about, question, answer), |batch: &Vec<Command<B>>| batch.len(), ask)
    }

    /// A question that is answered as a whole.
    #[must_use]
    pub fn question<Q, R, F>(
        mut self,
        name: &'static str,
        about: &'static str,
        ask: impl Fn(S, Q) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        Q: DeserializeOwned + ToSchema + Send + Sync + 'static,
        R: Serialize + Described + Send + Sync + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let question = described::whole::<Q>(&mut self.schemas);
        let answer = R::described(&mut self.schemas);
        self.operation((name, about, question, answer), |_: &Q| 1, ask)
    }

    /// A question whose answer always says something.
    #[must_use]
    pub fn always<Q, R, F>(
        mut self,
        name: &'static str,
        about: &'static str,
        ask: impl Fn(S, Q) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        Q: DeserializeOwned + ToSchema + Send + Sync + 'static,
        R: Serialize + ToSchema + Send + Sync + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let question = described::whole::<Q>(&mut self.schemas);
        let answer = described::whole::<R>(&mut self.schemas);
        self.operation((name, about, question, answer), |_: &Q| 1, ask)
    }

    fn operation<Q, R, F>(
        mut self,
        (name, about, question, answer): (&'static str, &'static str, RefOr<Schema>, RefOr<Schema>),
        items: fn(&Q) -> usize,
        ask: impl Fn(S, Q) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        Q: DeserializeOwned + Send + Sync + 'static,
        R: Serialize + Send + Sync + 'static,
        F: Future<Output = R> + Send + 'static,
    {
        let as_ = served::As { module: self.module, operation: name };
        let handler =
            post(move |State(state): State<S>, headers: HeaderMap, body: Result<Bytes, BytesRejection>| {
                let ask = ask.clone();
                async move {
                    match body {
                        Ok(body) => {
                            served::serve(as_, &headers, &body, items, |question| ask(state, question)).await
                        }
                        Err(rejection) => too_long(&rejection).into_response(),
                    }
                }
            });
        self.operations.push(Operation { name, about, question, answer, handler });
        self
    }

    /// Served from `state` to whoever the door lets in.
    pub fn router(self, state: S, door: Door) -> Router {
        let operations = self.operations.into_iter();
        let router = operations.fold(Router::new(), |router, operation| {
            router.route(&format!("/v1/{}", operation.name), operation.handler)
        });
        let nothing = || async {
            Problem::new(StatusCode::NOT_FOUND, "no_such_operation", "see the contract's document")
        };
        // Whoever comes through the door and asks nothing has asked whether it opens.
        let database =
            post(|State(door): State<Door>| async move { door.database().await }).with_state(door.clone());
        router
            .with_state(state)
            .route("/v1/database", database)
            .fallback(nothing)
            .method_not_allowed_fallback(nothing)
            .layer(from_fn_with_state(door, door::guard))
            .layer(DefaultBodyLimit::max(self.body_bytes_max))
            .layer(from_fn_with_state("port", measure))
    }

    /// The contract's document: OpenAPI 3.1.
    #[must_use]
    pub fn document(&self) -> OpenApi {
        let paths = self.operations.iter().fold(PathsBuilder::new(), |paths, operation| {
            paths.path(format!("/v1/{}", operation.name), operation.described())
        });
        let mut components = Components::new();
        components.schemas.extend(self.schemas.iter().cloned());
        let bearer = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        components.add_security_scheme("service", bearer);
        let info = InfoBuilder::new().title(self.module).version("1").description(Some(self.about));
        OpenApiBuilder::new()
            .info(info.build())
            .paths(paths.build())
            .components(Some(components))
            .security(Some([SecurityRequirement::new("service", [""; 0])]))
            .build()
    }
}

impl<S> Operation<S> {
    fn described(&self) -> PathItem {
        let json = |schema: &RefOr<Schema>| ContentBuilder::new().schema(Some(schema.clone())).build();
        let question = RequestBodyBuilder::new()
            .content("application/json", json(&self.question))
            .required(Some(Required::True));
        let answered = ResponseBuilder::new()
            .description("Answered, item by item.")
            .content("application/json", json(&self.answer));
        let operation = OperationBuilder::new()
            .operation_id(Some(self.name))
            .description(Some(self.about))
            .request_body(Some(question.build()))
            .response("200", answered.build());
        let problems = [
            ("400", "No such question."),
            ("401", "Whose token is not known, has expired, or is for somebody else."),
            ("413", "Too long, or too many items."),
            ("421", "The caller expects another database than the one behind this instance."),
            ("503", "Not now: ask again."),
        ];
        let operation = problems
            .iter()
            .fold(operation, |operation, (status, about)| operation.response(*status, problem(about)));
        PathItem::new(HttpMethod::Post, operation)
    }
}

/// Longer than may be, or cut off.
fn too_long(rejection: &BytesRejection) -> Problem {
    Problem::new(rejection.status(), "body_not_read", rejection.body_text())
}

fn problem(about: &str) -> Response {
    let schema = utoipa::openapi::Ref::from_schema_name(Problem::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(about).content("application/problem+json", content).build()
}
