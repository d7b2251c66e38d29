//! `serve`: listens until it is told to stop, or the book cannot be written.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;
use tower::Service as _;

use crate::book::BookError;
use crate::clock::Clock;
use crate::config::Config;
use crate::router::router;
use crate::sandbox::Sandbox;
use crate::webhooks::tell;
use crate::wire::Wire;

const MOST_CONNECTIONS: usize = 4_096;
const MOST_HEADERS: usize = 64;
const LARGEST_BUFFER_BYTES: usize = 64 * 1024;
/// Also how long an idle connection is kept.
const SLOWEST_HEAD: Duration = Duration::from_secs(60);
const LONGEST_GOODBYE: Duration = Duration::from_secs(3);

/// Why the sandbox does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// An empty secret lets everybody in.
    #[error("gateway_secret and control_token must not be empty")]
    NoSecret,
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, io::Error),
    /// The book cannot be opened.
    #[error(transparent)]
    Book(#[from] BookError),
    /// The book could be opened, and cannot be written any more.
    #[error("the book cannot be written, so that nothing can be promised any more: {0}")]
    Written(String),
}

/// Runs the outside world until `stop` is ready.
///
/// `ready` is told the bound address as soon as requests are taken.
pub async fn serve(
    config: Config,
    clock: Arc<dyn Clock>,
    ready: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    check(&config)?;
    let address = config.listen;
    let listener = TcpListener::bind(address).await.map_err(|error| ServeError::Listen(address, error))?;
    let opened = tokio::task::spawn_blocking(move || Sandbox::open(config, clock)).await;
    let sandbox = Arc::new(opened.expect("opening the book does not panic")?);
    let bound = listener.local_addr().map_err(|error| ServeError::Listen(address, error))?;
    tracing::info!(%bound, book = %sandbox.book.path().display(), "the sandbox listens");
    let tells = sandbox.config.webhook.clone().map(Arc::new);
    let tells = tells.map(|to| AbortOnDropHandle::new(tokio::spawn(tell(sandbox.clone(), to))));
    ready(bound);
    let mut connections = Connections::new(router(sandbox.clone()));
    let ended = tokio::select! {
        () = stop => Ok(()),
        reason = sandbox.book.failed() => Err(ServeError::Written(reason)),
        () = connections.accept(&listener) => Ok(()),
    };
    drop(listener);
    connections.close().await;
    drop(tells);
    ended
}

fn check(config: &Config) -> Result<(), ServeError> {
    if config.gateway_secret.is_empty() || config.control_token.is_empty() {
        return Err(ServeError::NoSecret);
    }
    Ok(())
}

struct Connections {
    router: Router,
    permits: Arc<Semaphore>,
    open: JoinSet<()>,
    closing: watch::Sender<bool>,
}

impl Connections {
    fn new(router: Router) -> Self {
        let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS));
        Self { router, permits, open: JoinSet::new(), closing: watch::Sender::new(false) }
    }

    /// Takes connections for ever; beyond the most, callers wait in the kernel's queue.
    async fn accept(&mut self, listener: &TcpListener) {
        loop {
            let permit = self.permits.clone().acquire_owned().await.expect("it is never closed");
            match listener.accept().await {
                Ok((stream, _)) => self.serve(stream, permit),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    sleep(Duration::from_millis(50)).await;
                }
            }
            while self.open.try_join_next().is_some() {}
        }
    }

    fn serve(&mut self, stream: TcpStream, permit: OwnedSemaphorePermit) {
        let (router, closing) = (self.router.clone(), self.closing.subscribe());
        self.open.spawn(async move {
            connection(stream, router, closing).await;
            drop(permit);
        });
    }

    async fn close(mut self) {
        self.closing.send_replace(true);
        let all = async { while self.open.join_next().await.is_some() {} };
        let _ = timeout(LONGEST_GOODBYE, all).await;
        self.open.shutdown().await;
    }
}

async fn connection(stream: TcpStream, router: Router, mut closing: watch::Receiver<bool>) {
    // Small answers must not wait for the other side's acknowledgement.
    let _ = stream.set_nodelay(true);
    let wire = Wire::default();
    let service = service_fn(|mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(wire.clone());
        // A router is always ready, and never fails.
        router.clone().call(request.map(Body::new))
    });
    let mut connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SLOWEST_HEAD)
        .max_buf_size(LARGEST_BUFFER_BYTES)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let end = tokio::select! {
        _ = &mut connection => End::Over,
        () = wire.to_be_reset() => End::Reset,
        () = told(&mut closing) => End::Closing,
    };
    match end {
        End::Over => {}
        // Without lingering, closing sends RST instead of FIN.
        End::Reset => drop(connection.into_parts().io.into_inner().set_zero_linger()),
        End::Closing => {
            Pin::new(&mut connection).graceful_shutdown();
            let _ = connection.await;
        }
    }
}

enum End {
    Over,
    Reset,
    Closing,
}

async fn told(closing: &mut watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}
