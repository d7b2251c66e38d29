//! A listener that neither slow senders, slow readers, nor idle connections can exhaust.

use std::{io, net::SocketAddr, pin::pin, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, Request},
    http::StatusCode,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch},
};
use tokio_io_timeout::TimeoutStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::{Service, ServiceExt};

use crate::{Problem, under_way::UnderWay};

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

/// More headers than any client needs.
const HEADERS_MAX: usize = 64;
/// Of a request's head: more than any client needs.
const HEAD_BYTES_MAX: usize = 24 * 1024;
/// What stands around a header's name and value: `: ` and the end of the line.
const AROUND_BYTES: usize = 4;
/// Beyond these, the second roughly, nothing is read any more, and hyper answers 431 without a body: who sends so much is no client that
/// goes a little too far.
const HEADERS_READ_MAX: usize = 100;
const HEAD_BYTES_READ_MAX: usize = 32 * 1024;
/// When a connection cannot be accepted, what helps is that others end.
const ACCEPT_AGAIN: Duration = Duration::from_millis(50);
/// When the shop stops: for the last bytes of an answer that was given, and for a head of which only these were missing.
const LAST_BYTES_TIME: Duration = Duration::from_millis(200);

/// Serves HTTP/1.1 until `stop`, then finishes the requests under way. A request whose head is not complete has not begun: who is idle,
/// or drips, is cut.
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
    let router = router.layer(from_fn(bounded_head));
    let room = std::sync::Arc::new(Semaphore::new(limits.connections));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accept(&listener, &room) => accepted,
        };
        match accepted {
            Ok((stream, peer, permit)) => {
                let served = serve_one(stream, peer, router.clone(), limits, stop.clone());
                connections.spawn(async move {
                    served.await;
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
    connections.close();
    connections.wait().await;
    Ok(())
}

/// One connection, to its end; after `stop` to the end of the request under way, if there is one.
async fn serve_one(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    limits: ServerLimits,
    stop: CancellationToken,
) {
    let (requests, mut under_way) = watch::channel(0_u32);
    let service = router.map_request(move |mut request: Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(ConnectInfo(peer));
        request.map(axum::body::Body::new)
    });
    let mut connection = pin!(connection(stream, UnderWay::over(service, requests), limits));
    // How it ends is the client's own trouble: it went away, or was too slow.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let idle = async {
        loop {
            // Elapsed means: for so long there was none.
            let none = under_way.wait_for(|requests| *requests == 0).await.is_ok();
            let begins = under_way.wait_for(|requests| *requests > 0);
            if !none || tokio::time::timeout(LAST_BYTES_TIME, begins).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        _ = connection => {}
        () = idle => {}
    }
}

/// Says in our own words what hyper would say in none.
async fn bounded_head(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let bytes = headers.iter().map(|(name, value)| name.as_str().len() + value.len() + AROUND_BYTES);
    let path = request.uri().path_and_query().map_or(0, |path| path.as_str().len());
    if headers.len() <= HEADERS_MAX && bytes.sum::<usize>() + path <= HEAD_BYTES_MAX {
        return next.run(request).await;
    }
    let most = format!("a request's head has at most {HEADERS_MAX} headers and {HEAD_BYTES_MAX} bytes");
    Problem::new(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, "head_too_large", most).into_response()
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

fn connection<S>(
    stream: TcpStream,
    service: S,
    limits: ServerLimits,
) -> http1::Connection<Io, TowerToHyperService<S>>
where
    S: Service<Request<hyper::body::Incoming>, Response = Response> + Clone,
    S::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(limits.write_time));
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head_time)
        .max_headers(HEADERS_READ_MAX)
        .max_buf_size(HEAD_BYTES_READ_MAX)
        .serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(service))
}
