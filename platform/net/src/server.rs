//! A listener that neither slow senders, slow readers, nor idle connections can exhaust.

use std::{io, net::SocketAddr, time::Duration};

use axum::{Router, extract::ConnectInfo, extract::Request};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::graceful::GracefulShutdown,
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

/// The limits of a listener.
#[derive(Clone, Copy, Debug)]
pub struct ServerLimits {
    /// Connections open at once; one more waits to be accepted until another ends.
    pub connections: usize,
    /// From the connection, or the answer before, to the last byte of a request's head: also how long an idle
    /// connection is kept.
    pub head_time: Duration,
    /// How long a client may take nothing of its answer.
    pub write_time: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self { connections: 16_384, head_time: Duration::from_secs(15), write_time: Duration::from_secs(30) }
    }
}

/// More headers than any client needs; hyper answers 431 beyond.
const HEADERS_MAX: usize = 64;
/// Of a request's head.
const HEAD_BYTES_MAX: usize = 32 * 1024;
/// When a connection cannot be accepted, what helps is that others end.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);

/// Serves HTTP/1.1 until `stop`, then finishes the requests under way; idle connections end at once.
///
/// # Errors
/// When the listener has no address.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: ServerLimits,
    stop: CancellationToken,
) -> io::Result<()> {
    listener.local_addr()?;
    let room = std::sync::Arc::new(Semaphore::new(limits.connections));
    let graceful = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                let connection = graceful.watch(connection(stream, peer, router.clone(), limits));
                tokio::spawn(async move {
                    // A client that went away, or was too slow: its own trouble.
                    let _ = connection.await;
                    drop(permit);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection cannot be accepted");
                tokio::time::sleep(ACCEPT_AGAIN).await;
            }
        }
    }
    drop(listener);
    graceful.shutdown().await;
    Ok(())
}

async fn accept(
    listener: &TcpListener,
    room: &std::sync::Arc<Semaphore>,
) -> io::Result<(TcpStream, SocketAddr, OwnedSemaphorePermit)> {
    let permit = room.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (stream, peer) = listener.accept().await?;
    stream.set_nodelay(true)?;
    Ok((stream, peer, permit))
}

type Io = TokioIo<std::pin::Pin<Box<TimeoutStream<TcpStream>>>>;

fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: ServerLimits,
) -> http1::Connection<
    Io,
    TowerToHyperService<
        impl tower::Service<
            Request<hyper::body::Incoming>,
            Response = axum::response::Response,
            Error = std::convert::Infallible,
            Future: Send,
        > + Clone
        + Send,
    >,
> {
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_time));
    let service = router.map_request(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(axum::body::Body::new)
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_headers(HEADERS_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(service))
}
