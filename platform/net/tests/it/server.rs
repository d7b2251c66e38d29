//! Clients that are slow, idle, or many.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, body::Body, routing::get};
use banyan_net::ServerLimits;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// Far beyond any of the limits below; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(200);

async fn open(limits: ServerLimits) -> (SocketAddr, CancellationToken) {
    // More than the sockets' buffers hold.
    let much = get(async || Body::from(vec![b'x'; 32 << 20]));
    let slow = get(async || {
        tokio::time::sleep(SHORT * 4).await;
        "at last"
    });
    let router = Router::new().route("/", get(async || "here")).route("/much", much).route("/slow", slow);
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let stop = CancellationToken::new();
    tokio::spawn(banyan_net::serve(listener, router, limits, stop.clone()));
    (address, stop)
}

async fn connect(address: SocketAddr) -> TcpStream {
    TcpStream::connect(address).await.expect("connected")
}

/// Everything until the other side ends it.
async fn to_the_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Ended in order, or reset: both are an end.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the server ends it");
    bytes
}

async fn answers(address: SocketAddr) {
    let mut stream = connect(address).await;
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("sent");
    let answer = to_the_end(&mut stream).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn a_head_that_drips_or_never_comes_is_cut() {
    let (address, _stop) = open(ServerLimits { head_time: SHORT, ..ServerLimits::default() }).await;
    let mut silent = connect(address).await;
    to_the_end(&mut silent).await;
    let mut dripping = connect(address).await;
    dripping.write_all(b"GET / HTTP/1.1\r\n").await.expect("sent");
    to_the_end(&mut dripping).await;
    answers(address).await;
}

#[tokio::test]
async fn a_connection_that_was_served_and_asks_no_more_is_cut() {
    let (address, _stop) = open(ServerLimits { head_time: SHORT, ..ServerLimits::default() }).await;
    let mut idle = connect(address).await;
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let answer = to_the_end(&mut idle).await;
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn who_takes_nothing_of_a_long_answer_is_cut() {
    let (address, _stop) = open(ServerLimits { write_time: SHORT, ..ServerLimits::default() }).await;
    let mut lazy = connect(address).await;
    lazy.write_all(b"GET /much HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    // Without reading: the server's end of the connection goes away by itself.
    let gone = async {
        loop {
            let sent = lazy.write(b"x").await;
            if sent.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, gone).await.expect("the server ends it");
    answers(address).await;
}

/// What is asked with a connection of its own, to its end.
async fn told(address: SocketAddr, head: &str) -> String {
    let mut stream = connect(address).await;
    // Who has read enough may hang up before all is sent.
    let _ = stream
        .write_all(format!("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n").as_bytes())
        .await;
    String::from_utf8_lossy(&to_the_end(&mut stream).await).into_owned()
}

/// A head that goes too far is answered as everything is; nobody's words but hyper's are for what is no request at all.
#[tokio::test]
async fn a_head_that_is_too_large_is_a_problem_and_what_is_no_request_is_answered_without_a_body() {
    let (address, _stop) = open(ServerLimits::default()).await;
    // Beside the two that each has.
    let headers = |n: usize| (2..n).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    let long = |n: usize| format!("x: {}\r\n", "y".repeat(n));
    for fits in [headers(64), long(24_000)] {
        let told = told(address, &fits).await;
        assert!(told.starts_with("HTTP/1.1 200"), "{told}");
    }
    for too_large in [headers(65), headers(100), long(25_000), long(31_000)] {
        let told = told(address, &too_large).await;
        assert!(told.starts_with("HTTP/1.1 431"), "{told}");
        assert!(told.contains("content-type: application/problem+json"), "{told}");
        assert!(told.contains(r#""type":"/problems/head_too_large""#), "{told}");
    }
    for (status, no_request) in [
        (431, headers(101)),
        (400, "Content-Length: 1\r\nContent-Length: 2\r\n".to_owned()),
        (400, "Content-Length: one\r\n".to_owned()),
        (400, "no header\r\n".to_owned()),
    ] {
        let told = told(address, &no_request).await;
        assert!(told.starts_with(&format!("HTTP/1.1 {status}")), "{no_request:.40}: {told}");
        assert!(told.ends_with("\r\n\r\n"), "without a body: {told}");
    }
    answers(address).await;
}

/// Those who are too many wait; they are served when others end.
#[tokio::test]
async fn connections_are_bounded_and_the_next_one_is_served_when_one_ends() {
    let limits = ServerLimits { connections: 2, head_time: PATIENCE, ..ServerLimits::default() };
    let (address, _stop) = open(limits).await;
    let (first, _second) = (connect(address).await, connect(address).await);
    let mut third = connect(address).await;
    third.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.expect("sent");
    let mut byte = [0];
    assert!(timeout(SHORT, third.read(&mut byte)).await.is_err(), "there is no room");
    drop(first);
    assert!(to_the_end(&mut third).await.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_takes_no_more() {
    let (address, stop) = open(ServerLimits { head_time: PATIENCE, ..ServerLimits::default() }).await;
    let mut idle = connect(address).await;
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let mut answer = [0; 12];
    idle.read_exact(&mut answer).await.expect("an answer");
    stop.cancel();
    to_the_end(&mut idle).await;
}

/// A head that is not complete is no request yet: nobody waits for the rest of it. What was asked for is answered, though it takes a while.
#[tokio::test]
async fn a_stop_cuts_who_drips_and_answers_who_has_asked() {
    let limits = ServerLimits { head_time: 10 * PATIENCE, ..ServerLimits::default() };
    let (address, stop) = open(limits).await;
    let (mut silent, mut dripping, mut again) =
        (connect(address).await, connect(address).await, connect(address).await);
    dripping.write_all(b"GET / HTTP/1.1\r\nHost:").await.expect("sent");
    again.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HT").await.expect("sent");
    let mut asking = connect(address).await;
    asking.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    // Answered here means accepted there, all before it.
    answers(address).await;
    stop.cancel();
    let (one, two, three, answer) = tokio::join!(
        to_the_end(&mut silent),
        to_the_end(&mut dripping),
        to_the_end(&mut again),
        to_the_end(&mut asking)
    );
    assert_eq!((one.len(), two.len()), (0, 0));
    assert_eq!(String::from_utf8_lossy(&three).matches("HTTP/1.1 200").count(), 1);
    assert!(String::from_utf8_lossy(&answer).ends_with("at last"), "{answer:?}");
    assert!(TcpStream::connect(address).await.is_err(), "nobody listens any more");
}
