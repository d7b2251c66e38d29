//! A shop for the tests of this module: it remembers requests and misbehaves as told.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};
use uuid::Uuid;

use super::{KINDS, STEPS};

/// What it was asked, and what it will answer.
#[derive(Default)]
pub(super) struct Book {
    /// Requests by path, as they came, with key and token.
    pub(super) requests: Vec<Request>,
    /// First bodies by token, path and key; their answers are repeated.
    pub(super) answers: BTreeMap<(String, String, String), Value>,
    /// Statuses to give to the next order requests instead of an answer.
    pub(super) troubles: VecDeque<u16>,
    /// What is received stands elsewhere already.
    pub(super) stands_elsewhere: bool,
    /// Orders never end.
    pub(super) stands_still: bool,
    /// Looks at open orders so far.
    pub(super) looks: u32,
    /// The step table.
    pub(super) faults: Value,
}

#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) token: String,
    pub(super) key: String,
    pub(super) body: Value,
}

#[derive(Clone, Default)]
struct Books(Arc<Mutex<Book>>);

/// The running fake; stops when dropped.
pub(super) struct FakeShop {
    pub(super) url: String,
    books: Books,
    server: JoinHandle<()>,
}

impl FakeShop {
    pub(super) async fn start() -> Self {
        let books = Books::default();
        books.0.lock().unwrap().faults = full_table();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let router = router(books.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, books, server }
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.books.0.lock().unwrap()
    }
}

impl Drop for FakeShop {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Book {
    /// Requests of one path.
    pub(super) fn asked(&self, path: &str) -> Vec<Request> {
        self.requests.iter().filter(|request| request.path == path).cloned().collect()
    }

    /// Orders that exist.
    pub(super) fn orders(&self) -> usize {
        self.answers.keys().filter(|(_, path, _)| path == "/v1/orders").count()
    }

    fn note(&mut self, path: &str, headers: &HeaderMap, body: &Bytes) -> Request {
        let field = |name: &str| headers.get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        let body = serde_json::from_slice(body).unwrap();
        let request =
            Request { path: path.into(), token: field("authorization"), key: field("idempotency-key"), body };
        self.requests.push(request.clone());
        request
    }

    /// The first answer to a key, or the same again.
    fn once(&mut self, request: Request, answer: impl FnOnce(&Value) -> Value) -> Response {
        let key = (request.token, request.path, request.key);
        if let Some(before) = self.answers.get(&key) {
            return (StatusCode::OK, [("Idempotent-Replayed", "true")], before.to_string()).into_response();
        }
        let answer = answer(&request.body);
        self.answers.insert(key, answer.clone());
        (StatusCode::CREATED, answer.to_string()).into_response()
    }
}

fn router(books: Books) -> Router {
    Router::new()
        .route("/v1/products", post(products))
        .route("/v1/stock/receipts", post(receipts))
        .route("/v1/orders", post(orders))
        .route("/admin/orders/settled", post(settled))
        .route("/admin/faults", get(faults))
        .with_state(books)
}

async fn products(State(books): State<Books>, headers: HeaderMap, body: Bytes) -> Response {
    let mut book = books.0.lock().unwrap();
    let request = book.note("/v1/products", &headers, &body);
    book.once(request, |_| json!({}))
}

async fn receipts(State(books): State<Books>, headers: HeaderMap, body: Bytes) -> Response {
    let mut book = books.0.lock().unwrap();
    let request = book.note("/v1/stock/receipts", &headers, &body);
    if book.stands_elsewhere && request.body["place"].is_string() {
        return problem(422, "stands_elsewhere");
    }
    book.once(request, |_| json!({}))
}

async fn orders(State(books): State<Books>, headers: HeaderMap, body: Bytes) -> Response {
    let mut book = books.0.lock().unwrap();
    let request = book.note("/v1/orders", &headers, &body);
    if let Some(status) = book.troubles.pop_front() {
        return trouble(status);
    }
    if request.body["lines"][0]["sku"] == "NOSUCH" {
        return problem(422, "unknown_product");
    }
    let id = Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{}{}", request.token, request.key).as_bytes());
    book.once(request, |_| json!({"id": id, "state": "placed", "total": {"minor": 250, "currency": "USD"}}))
}

/// Orders end at the second look, by their payment method.
async fn settled(State(books): State<Books>, body: Bytes) -> Response {
    let mut book = books.0.lock().unwrap();
    book.looks += 1;
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let open = book.stands_still || book.looks < 2;
    let methods = book.methods();
    let stand = |id: &Value| standing(id.as_str().unwrap(), &methods, open);
    let orders: Vec<Value> = asked["orders"].as_array().unwrap().iter().map(stand).collect();
    json!({ "orders": orders }).to_string().into_response()
}

fn standing(id: &str, methods: &BTreeMap<String, String>, open: bool) -> Value {
    let method = methods.get(id).map_or("", String::as_str);
    let (state, cause) = match method {
        _ if open => ("placed", None),
        "pm_card_chargeDeclined" => ("cancelled", Some("card_declined")),
        "pm_stuck" => ("stuck", None),
        _ => ("shipped", None),
    };
    json!({
        "id": id, "state": state, "cause": cause, "placed_at": "2026-01-02T03:04:05.000001Z",
        "ended_at": (!open).then_some("2026-01-02T03:04:05.500001Z"),
        "asked_again": method == "pm_sandbox_slow", "compensated": cause.is_some(),
    })
}

impl Book {
    /// Payment method by order.
    fn methods(&self) -> BTreeMap<String, String> {
        let orders = self.requests.iter().filter(|request| request.path == "/v1/orders");
        let pay = |request: &Request| {
            let id =
                Uuid::new_v5(&Uuid::NAMESPACE_OID, format!("{}{}", request.token, request.key).as_bytes());
            (id.to_string(), request.body["payment_method"].as_str().unwrap().to_owned())
        };
        orders.map(pay).collect()
    }
}

/// Each fault met once at each step.
fn full_table() -> Value {
    let cell = json!({"count": 1, "examples": []});
    let row: serde_json::Map<_, _> =
        KINDS.iter().map(|(kind, _)| ((*kind).to_owned(), cell.clone())).collect();
    STEPS.iter().map(|step| ((*step).to_owned(), Value::Object(row.clone()))).collect()
}

async fn faults(State(books): State<Books>) -> String {
    json!({ "steps": books.0.lock().unwrap().faults }).to_string()
}

fn trouble(status: u16) -> Response {
    let mut response = problem(status, "trouble");
    if status == 429 {
        response.headers_mut().insert("Retry-After", "0".parse().unwrap());
    }
    response
}

fn problem(status: u16, name: &str) -> Response {
    let body = json!({"type": format!("/problems/{name}"), "title": name, "status": status});
    (StatusCode::from_u16(status).unwrap(), body.to_string()).into_response()
}
