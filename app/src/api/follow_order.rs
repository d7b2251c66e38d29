//! `GET /v1/orders/{id}/events`: an order's history, as a list or as it happens.

use std::{convert::Infallible, time::Duration};

use axum::{
    Json,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use banyan_kernel::OrderId;
use banyan_net::{Principal, Problem, ValidUntil};
use banyan_store::Signal;
use futures::{Stream, stream};
use orders_api::{OrderCancelled, OrderEventView, OrderShipped, OrderState};

use super::{Api, done, read_orders::visible, streams::OpenStream};

/// What another process's commit is noticed by, at the latest.
const POLL: Duration = Duration::from_millis(250);
/// A stream ends after so long; `Last-Event-ID` continues it.
const STREAM_TIME_MAX: Duration = Duration::from_secs(600);

/// An order's events, oldest first.
///
/// With `Accept: text/event-stream` they come as server-sent events while they happen, until the order is
/// ended, the asker's token ends, or ten minutes have passed; `Last-Event-ID` continues after an event's version.
#[utoipa::path(
    get, path = "/v1/orders/{id}/events", tag = "orders", security(("bearer" = [])),
    params(
        ("id" = OrderId, Path, description = "The order."),
        ("Last-Event-ID" = Option<i64>, Header, description = "Only events after this version."),
    ),
    responses(
        (status = 200, description = "The events; of a stream, each message's `id` is the version, its `event` the type, its `data` the event.", content(
            (Vec<OrderEventView> = "application/json"), (OrderEventView = "text/event-stream"),
        )),
        (status = 401, description = "No valid token.", body = Problem),
        (status = 404, description = "No such order, or somebody else's.", body = Problem),
        (status = 429, description = "Too many streams are open.", body = Problem),
        (status = 500, description = "Our fault; it has been logged.", body = Problem),
        (status = 503, description = "Not now; ask again.", body = Problem),
    )
)]
pub(crate) async fn follow_order(
    State(api): State<Api>,
    principal: Principal,
    ValidUntil(valid_until): ValidUntil,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let seen = visible(&api, &principal, &id).await?;
    let order = seen.id;
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let after = text("last-event-id").and_then(|id| id.parse().ok()).unwrap_or(0);
    let live = text(header::ACCEPT.as_str()).is_some_and(|accept| accept.contains("text/event-stream"));
    if !live {
        let events = done(api.orders.events(order, after).await, |_| StatusCode::NOT_FOUND)?;
        return Ok(Json(events).into_response());
    }
    let full =
        || Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_streams", "poll instead").retry_after(5);
    let open = api.streams.open(&principal.0).ok_or_else(full)?;
    // Who comes back after the last event of an ended order gets the end at once.
    let ended = matches!(seen.state, OrderState::Shipped | OrderState::Cancelled) && after >= seen.version;
    let valid = valid_until - api.webhooks.clock.now();
    let time_max = STREAM_TIME_MAX.min(valid.try_into().unwrap_or_default());
    Ok(Sse::new(follow(api, (order, after, ended), time_max, open))
        .keep_alive(KeepAlive::default())
        .into_response())
}

struct Following {
    api: Api,
    order: OrderId,
    after: i64,
    signal: tokio::sync::watch::Receiver<u64>,
    until: tokio::time::Instant,
    ready: std::collections::VecDeque<OrderEventView>,
    ended: bool,
    _open: OpenStream,
}

fn follow(
    api: Api,
    (order, after, ended): (OrderId, i64, bool),
    time_max: Duration,
    open: OpenStream,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let signal = api.orders_signal.listen();
    let until = tokio::time::Instant::now() + time_max;
    let ready = std::collections::VecDeque::new();
    let following = Following { api, order, after, signal, until, ready, ended, _open: open };
    stream::unfold(following, |mut following| async move {
        let event = following.next().await?;
        Some((Ok(event), following))
    })
}

impl Following {
    /// The next event, or none when the order is ended or time is up.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.after = event.version;
                self.ended |= matches!(event.kind.as_str(), OrderShipped::KIND | OrderCancelled::KIND);
                let json =
                    Event::default().id(event.version.to_string()).event(&event.kind).json_data(&event);
                return json.ok();
            }
            if self.ended || self.api.stop.is_cancelled() || tokio::time::Instant::now() >= self.until {
                return None;
            }
            match self.api.orders.events(self.order, self.after).await {
                banyan_kernel::Answer::Done(events) if !events.is_empty() => self.ready.extend(events),
                // A stop is noticed within a poll.
                _ => Signal::wait(&mut self.signal, POLL).await,
            }
        }
    }
}
