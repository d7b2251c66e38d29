//! The page, against a callee that says what it is told to.

use std::time::Duration;

use banyan_kernel::TraceParent;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
};

use super::{AT_ONCE_MAX, Call, CallError, Callee, Caller, Method};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Answers each connection with `answer`, or never where it is empty; passes on what was asked.
async fn callee(answer: String) -> (Callee, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (answer, tell) = (answer.clone(), tell.clone());
            tokio::spawn(async move {
                let mut bytes = vec![0; 4_096];
                let count = stream.read(&mut bytes).await.unwrap_or(0);
                let _ = tell.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
                if answer.is_empty() {
                    std::future::pending::<()>().await;
                }
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    let mut callee = Callee::new(format!("http://{address}/"), "sk_secret");
    callee.time_out = Duration::from_millis(300);
    (callee, told)
}

fn answer(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

async fn ask(caller: &Caller) -> Result<u16, CallError> {
    let trace: TraceParent = TRACE.parse().expect("a trace");
    let call = Call {
        trace: &trace,
        step: "authorise",
        method: Method::POST,
        path: "/pay".to_owned(),
        body: Some(("text/plain", "x".to_owned())),
        key: Some("order/authorise/1".to_owned()),
        delivery: 3,
    };
    caller.call(call).await.map(|reply| reply.status)
}

#[tokio::test]
async fn each_kind_of_answer_says_what_may_be_known() {
    let long = format!("\"{}\"", "x".repeat(super::ANSWER_BYTES_MAX));
    for (said, expected) in [
        (answer(200, "{}"), "Ok(200)"),
        (answer(402, "{}"), "Ok(402)"),
        (answer(302, "{}"), "Ok(302)"),
        (answer(401, "{}"), "Err(Forbidden(401))"),
        (answer(409, "{}"), "Err(InProgress)"),
        (answer(429, "{}"), "Err(NoAnswer("),
        (answer(503, "{}"), "Err(NoAnswer("),
        (answer(200, "<html>"), "Err(Garbage("),
        (answer(200, &long), "Err(Garbage("),
        (answer(402, r#"{"message":"\u0000"}"#), "Err(Garbage("),
        ("HTTP/1.1 200".to_owned(), "Err(NoAnswer("),
        (String::new(), "Err(NoAnswer("),
    ] {
        let (callee, _asked) = callee(said.clone()).await;
        let got = ask(&Caller::new("test", callee).expect("a client")).await;
        let shown = format!("{got:?}");
        assert!(shown.starts_with(expected) && !shown.contains("sk_secret"), "{said:.40}: {shown}");
    }
}

#[tokio::test]
async fn a_call_carries_its_trace_its_key_and_its_try() {
    let (callee, mut asked) = callee(answer(200, "{}")).await;
    assert!(!format!("{callee:?}").contains("sk_secret"));
    ask(&Caller::new("test", callee).expect("a client")).await.expect("an answer");
    let asked = asked.recv().await.expect("a request").to_lowercase();
    for header in [
        "authorization: bearer sk_secret",
        "traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-",
        "banyan-correlation: 4bf92f3577b34da6a3ce929d0e0e4736",
        "banyan-try: 3",
        "idempotency-key: order/authorise/1",
    ] {
        assert!(asked.contains(header), "{header} is not in {asked}");
    }
    assert!(!asked.contains(&TRACE[36..52]), "a call has a span of its own");
}

#[tokio::test]
async fn who_is_not_there_has_not_answered() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let gone = Callee::new(format!("http://{}", listener.local_addr().expect("an address")), "s");
    drop(listener);
    let got = ask(&Caller::new("test", gone).expect("a client")).await;
    assert!(matches!(got, Err(CallError::NoAnswer(_))), "{got:?}");
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_who_does_not_answer_is_left_alone() {
    let (callee, _asked) = callee(String::new()).await;
    let caller = Caller::new("test", callee).expect("a client");
    let calls = (0..=AT_ONCE_MAX).map(|_| ask(&caller));
    let got = futures::future::join_all(calls).await;
    let refused = got.iter().filter(|got| matches!(got, Err(CallError::NotSent("too many calls at once"))));
    assert_eq!(refused.count(), 1);
    assert!(matches!(ask(&caller).await, Err(CallError::NotSent("the callee has not answered for a while"))));
}
