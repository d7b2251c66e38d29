//! Between the shop and its gateway: passes everything on, each time under another idempotency key.

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use tokio::{net::TcpListener, task::JoinHandle};
use uuid::Uuid;

/// A larger body is no question to a gateway.
const BODY_BYTES_MAX: usize = 64 * 1024;
const KEY: &str = "idempotency-key";

/// Ends when it is dropped.
pub struct Proxy {
    /// `http://HOST:PORT`.
    pub address: String,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Way {
    there: String,
    client: reqwest::Client,
}

impl Proxy {
    /// To what listens `there`.
    pub async fn start(there: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("it is bound"));
        let way = Way { there, client: banyan_net::client().build().expect("a client") };
        let router = Router::new().fallback(pass).with_state(way);
        let task = tokio::spawn(async move {
            // It is ended by being dropped.
            let _ = axum::serve(listener, router).await;
        });
        Self { address, task }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(State(way): State<Way>, request: Request) -> Response {
    let away = |_| StatusCode::BAD_GATEWAY.into_response();
    let answered = async {
        let (mut parts, body) = request.into_parts();
        let body = axum::body::to_bytes(body, BODY_BYTES_MAX).await.map_err(away)?;
        if parts.headers.contains_key(KEY) {
            let fresh = Uuid::new_v4().to_string();
            parts.headers.insert(KEY, HeaderValue::from_str(&fresh).expect("a UUID is a header"));
        }
        parts.headers.remove("host");
        let url = format!("{}{}", way.there, parts.uri);
        let request = way.client.request(parts.method, url).headers(parts.headers).body(body);
        let answer = request.send().await.map_err(|_| StatusCode::BAD_GATEWAY.into_response())?;
        let (status, headers) = (answer.status(), answer.headers().clone());
        let bytes: Bytes = answer.bytes().await.map_err(|_| StatusCode::BAD_GATEWAY.into_response())?;
        let mut response = (status, Body::from(bytes)).into_response();
        if let Some(kind) = headers.get("content-type") {
            response.headers_mut().insert("content-type", kind.clone());
        }
        Ok::<_, Response>(response)
    };
    answered.await.unwrap_or_else(|response| response)
}
