//! One event, signed and sent once.

use std::pin::pin;
use std::time::Duration;

use hmac::{Hmac, Mac as _};
use hyper::client::conn::http1;
use hyper::{Request, header};
use hyper_util::rt::TokioIo;
use sha2::Sha256;
use time::OffsetDateTime;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::{Event, Webhook};

/// From connecting to the status.
const LONGEST: Duration = Duration::from_secs(10);

/// Sends it; an error says why it was not taken.
pub(super) async fn send(to: &Webhook, event: &Event, now: OffsetDateTime) -> Result<(), String> {
    timeout(LONGEST, exchange(to, event, now)).await.map_err(|_| "no answer".to_owned())?
}

async fn exchange(to: &Webhook, event: &Event, now: OffsetDateTime) -> Result<(), String> {
    let authority = to.url.authority().ok_or("the URL has no host")?;
    let address = (authority.host(), authority.port_u16().unwrap_or(80));
    let stream = TcpStream::connect(address).await.map_err(|error| error.to_string())?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| error.to_string())?;
    let request = Request::post(to.url.path())
        .header(header::HOST, authority.as_str())
        .header(header::CONTENT_TYPE, "application/json")
        .header(header::CONNECTION, "close")
        .header("Stripe-Signature", signature(&to.secret, now.unix_timestamp(), &event.body))
        .body(event.body.clone())
        .map_err(|error| error.to_string())?;
    let mut asked = pin!(sender.send_request(request));
    // Driving the connection makes the answer come; it may end with it.
    let response = tokio::select! {
        biased;
        response = &mut asked => response,
        _ = connection => asked.await,
    };
    let response = response.map_err(|error| error.to_string())?;
    let status = response.status();
    if status.is_success() { Ok(()) } else { Err(format!("answered {status}")) }
}

/// `t=SECONDS,v1=HEX`: the HMAC-SHA256 of `SECONDS.BODY`.
fn signature(secret: &str, seconds: i64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    mac.update(format!("{seconds}.{body}").as_bytes());
    format!("t={seconds},v1={}", hex::encode(mac.finalize().into_bytes()))
}
