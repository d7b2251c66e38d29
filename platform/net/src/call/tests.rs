//! The page, against a callee that says what it is told to; and what the layers' own tests call.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use banyan_kernel::Json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::{Semaphore, mpsc},
};
use tower::Service;

use super::{
    Answering, Call, CallError, Callee, Caller, Method, Reply, callee::AT_ONCE_MAX, locked, page::To,
};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// Any call.
pub(crate) fn call() -> Call {
    Call::new(Method::POST, "authorise", "/pay", TRACE.parse().expect("a trace"))
}

type Answer = Arc<dyn Fn(&str, usize) -> Answering + Send + Sync>;

/// What stands below a layer in its test: answers as it is told, and remembers what it heard.
#[derive(Clone)]
pub(crate) struct Script {
    address: String,
    heard: Arc<Mutex<Vec<(String, Call)>>>,
    answer: Answer,
    mended: Arc<AtomicBool>,
    workers: Arc<Semaphore>,
}

impl Script {
    fn answering(answer: impl Fn(&str, usize) -> Answering + Send + Sync + 'static) -> Self {
        Self {
            address: String::new(),
            heard: Arc::default(),
            answer: Arc::new(answer),
            mended: Arc::default(),
            workers: Arc::new(Semaphore::new(0)),
        }
    }

    /// At once, by how many came before.
    pub(crate) fn new(answer: impl Fn(usize) -> Result<Reply, CallError> + Send + Sync + 'static) -> Self {
        Self::answering(move |_, nth| Box::pin(std::future::ready(answer(nth))))
    }

    /// Never.
    pub(crate) fn silent() -> Self {
        Self::answering(|_, _| Box::pin(std::future::pending()))
    }

    /// At once, but at one address nobody answers until it is mended.
    pub(crate) fn lost_at(lost: &'static str) -> Self {
        let mended = Arc::new(AtomicBool::default());
        let is_mended = mended.clone();
        let answer = move |address: &str, _| -> Answering {
            let lost = address == lost && !is_mended.load(Ordering::Relaxed);
            Box::pin(std::future::ready(if lost { Self::lost() } else { Self::done() }))
        };
        Self { mended, ..Self::answering(answer) }
    }

    pub(crate) fn mend(&self) {
        self.mended.store(true, Ordering::Relaxed);
    }

    /// At one address later than elsewhere.
    pub(crate) fn slow_at(slow: &'static str, slowly: Duration, else_: Duration) -> Self {
        Self::answering(move |address, _| {
            let takes = if address == slow { slowly } else { else_ };
            Box::pin(async move {
                tokio::time::sleep(takes).await;
                Self::done()
            })
        })
    }

    /// By so many at a time, in the order of coming.
    pub(crate) fn workers(count: usize, each: Duration) -> Self {
        let workers = Arc::new(Semaphore::new(count));
        let work = workers.clone();
        let answer = move |_: &str, _| -> Answering {
            let work = work.clone();
            Box::pin(async move {
                let _worker = work.acquire().await.expect("workers");
                tokio::time::sleep(each).await;
                Self::done()
            })
        };
        Self { workers, ..Self::answering(answer) }
    }

    /// Has so many workers go home after what they are at.
    pub(crate) fn take_away(&self, count: u32) {
        let workers = self.workers.clone();
        tokio::spawn(async move { workers.acquire_many_owned(count).await.expect("workers").forget() });
    }

    pub(crate) fn done() -> Result<Reply, CallError> {
        Ok(Reply { status: 200, body: Json::Null })
    }

    pub(crate) fn lost() -> Result<Reply, CallError> {
        Err(CallError::NoAnswer("lost".to_owned()))
    }

    pub(crate) fn heard(&self) -> Vec<Call> {
        locked(&self.heard).iter().map(|(_, call)| call.clone()).collect()
    }

    /// At which address each call came.
    pub(crate) fn asked(&self) -> Vec<String> {
        locked(&self.heard).iter().map(|(address, _)| address.clone()).collect()
    }
}

impl To for Script {
    fn to(&self, address: &str) -> Self {
        Self { address: address.to_owned(), ..self.clone() }
    }
}

impl Service<Call> for Script {
    type Response = Reply;
    type Error = CallError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Answering {
        let mut heard = locked(&self.heard);
        heard.push((self.address.clone(), call));
        (self.answer)(&self.address, heard.len() - 1)
    }
}

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
    let call = call().body("text/plain", "x").key("order/authorise/1".to_owned()).delivery(3);
    caller.call(call).await.map(|reply| reply.status)
}

#[tokio::test]
async fn each_kind_of_answer_says_what_may_be_known() {
    let long = format!("\"{}\"", "x".repeat(256 * 1024));
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
        "banyan-deadline-ms: ",
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
