//! Track: what became of parcels. The carrier lists arrivals in their order; one of the shops that share a database reads the list
//! on, and takes in a page in one commit with how far it got. An order costs no call of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::LazyLock,
    time::Duration,
};

use banyan_kernel::{Actor, Context, OrderId, Timestamp, TraceParent};
use banyan_net::outbound::Outcome;
use banyan_store::{Held, Locks, StoreError, Tell};
use opentelemetry::{KeyValue, global, metrics::Histogram};
use shipping_api::{ShipmentDelivered, ShipmentReturned};
use sqlx::PgConnection;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{
    Shipping,
    carrier::{Arrived, Page},
    depot::Depot,
    parcel::{Arrival, Parcel, further},
    shipment::{self, Shipment, State},
};

/// The group of which one slot says who reads.
pub const TRACK_GROUP: &str = "shipping.tracking";
const SLOT: u16 = 0;
/// Parcels take days: nobody waits for less.
const POLL: Duration = Duration::from_secs(2);
/// After a failure.
const PAUSE: Duration = Duration::from_secs(10);

const POSITION: &str = "select position from carrier_feed";
/// Whoever moved it meanwhile took the same page in.
const MOVE: &str = "update carrier_feed set position = $1 where position = $2";
const ARRIVED: &str = "update shipment s set arrival = t.arrival, arrived_at = t.at, further = t.further::json, \
     version = t.version from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::text[], $5::int8[]) \
     as t(id, arrival, at, further, version) where s.order_id = t.id";

/// What came of a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turned {
    /// There is more.
    More,
    /// All was taken in that could be.
    Whole,
    /// The carrier did not say.
    Unread,
}

/// Reads the carrier's events on.
pub struct TrackingReconciler(Depot);

impl TrackingReconciler {
    /// Of these shipments.
    #[must_use]
    pub fn new(shipping: &Shipping) -> Self {
        Self(shipping.0.clone())
    }

    /// Reads on while it holds the slot that says who reads, until told to stop.
    pub async fn run(self, mut held: watch::Receiver<BTreeMap<u16, Held>>, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let reads = held.borrow_and_update().contains_key(&SLOT);
            let turned = if reads { self.turn().await } else { Ok(Turned::Whole) };
            let wait = match turned {
                Ok(Turned::More) => continue,
                Ok(Turned::Whole) => POLL,
                Ok(Turned::Unread) => PAUSE,
                Err(error) => {
                    tracing::warn!(%error, group = TRACK_GROUP, correlation = "", "a turn failed");
                    PAUSE
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                Ok(()) = held.changed() => {}
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Takes one page in.
    ///
    /// # Errors
    /// As any statement.
    pub async fn turn(&self) -> Result<Turned, StoreError> {
        let after: i64 = sqlx::query_scalar(POSITION).fetch_one(self.0.store.pool()).await?;
        let page = match self.0.carrier.events(after).await {
            Outcome::Done(page) => page,
            // The call has said it already.
            Outcome::Unknown(_) | Outcome::NotSent(_) => return Ok(Turned::Unread),
            other => {
                tracing::error!(?other, after, correlation = "", "the carrier's events cannot be read");
                return Ok(Turned::Unread);
            }
        };
        if page.next == after {
            return Ok(Turned::Whole);
        }
        self.take_in(after, &page).await
    }

    async fn take_in(&self, after: i64, page: &Page) -> Result<Turned, StoreError> {
        let orders: BTreeSet<OrderId> = page.arrived.iter().map(|one| one.order).collect();
        let orders: Vec<OrderId> = orders.into_iter().collect();
        let locks = Locks::none().and("order", orders.iter().map(ToString::to_string));
        let mut write = self.0.store.begin(&locks).await?;
        let read = shipment::read(write.connection(), &orders).await?;
        let mut rows: BTreeMap<OrderId, Shipment> = read.into_iter().map(|row| (row.order, row)).collect();
        let taken = judge(&mut rows, page);
        if taken.next == after {
            write.abandon().await;
            return Ok(Turned::Whole);
        }
        let moved = sqlx::query(MOVE).bind(taken.next).bind(after).execute(write.connection()).await?;
        if moved.rows_affected() == 0 {
            write.abandon().await;
            return Ok(Turned::More);
        }
        let changed: BTreeSet<OrderId> = taken.news.iter().map(|news| news.order).collect();
        let changed: Vec<&Shipment> = changed.iter().filter_map(|order| rows.get(order)).collect();
        put(write.connection(), &changed).await?;
        let events: Vec<Tell> = taken.news.iter().map(News::event).collect();
        if !events.is_empty() {
            write.tell(&events).await?;
        }
        write.commit().await?;
        taken.news.iter().for_each(News::measure);
        Ok(if page.more { Turned::More } else { Turned::Whole })
    }
}

/// By how much parcels came too late; below nought, in time.
static AGAINST_PROMISE: LazyLock<Histogram<f64>> = LazyLock::new(|| {
    const DAY_S: f64 = 86_400.0;
    global::meter("banyan")
        .f64_histogram("banyan.parcels.against_promise")
        .with_description("When parcels came, after the date that was promised; below nought, before it")
        .with_unit("s")
        .with_boundaries([-7.0, -3.0, -1.0, 0.0, 1.0, 3.0, 7.0].map(|days| days * DAY_S).to_vec())
        .build()
});

/// A parcel that arrived.
struct News {
    order: OrderId,
    trace: TraceParent,
    /// The carrier's id of its shipment.
    carrier_id: String,
    tracking: String,
    arrival: Arrival,
    at: Timestamp,
    promised_by: Option<Timestamp>,
    /// Counts the events told of its order.
    version: i64,
    /// Whether the customer has all of the order by it.
    whole: bool,
}

impl News {
    fn event(&self) -> Tell {
        let (order, tracking, whole) = (self.order, self.tracking.clone(), self.whole);
        // Structs of texts and flags always have a JSON form.
        let (kind, data) = match self.arrival {
            Arrival::Delivered => (
                ShipmentDelivered::KIND,
                serde_json::to_value(ShipmentDelivered { order, tracking, whole }).unwrap_or_default(),
            ),
            Arrival::Returned => (
                ShipmentReturned::KIND,
                serde_json::to_value(ShipmentReturned { order, tracking }).unwrap_or_default(),
            ),
        };
        Tell {
            kind,
            subject: order.to_string(),
            sequence: self.version,
            schema_version: 1,
            data,
            at: self.at,
            causation: self.carrier_id.clone(),
            // Days later, and the row does not know whether its customer wanted the order's trace to be collected.
            context: Context { actor: Actor::system(TRACK_GROUP), trace: self.trace.unsampled() },
        }
    }

    fn measure(&self) {
        if let Some(promised) = self.promised_by {
            let late = (self.at - promised).as_seconds_f64();
            AGAINST_PROMISE.record(late, &[KeyValue::new("arrival", self.arrival.as_str())]);
        }
    }
}

/// What a page comes to.
struct Taken {
    /// In the page's order.
    news: Vec<News>,
    /// How far.
    next: i64,
}

/// In the page's order, up to a parcel whose booking is not known to be done yet: it is, and that will be found out first.
fn judge(rows: &mut BTreeMap<OrderId, Shipment>, page: &Page) -> Taken {
    let (mut news, mut next) = (Vec::new(), None);
    for arrived in &page.arrived {
        let Some(row) = rows.get_mut(&arrived.order) else { continue };
        if row.state == State::Booking && row.intent.broken.is_none() {
            next = Some(arrived.position - 1);
            break;
        }
        news.extend(take(row, arrived));
    }
    Taken { news, next: next.unwrap_or(page.next) }
}

/// What is new in it: a parcel of the shipment's own booking that had not arrived.
fn take(row: &mut Shipment, arrived: &Arrived) -> Option<News> {
    let booking = row.booking.clone().filter(|booking| booking.id == arrived.shipment)?;
    let is_it = |parcel: &&mut Parcel| parcel.tracking.as_ref() == Some(&arrived.tracking);
    let parcel = row.parcels.iter_mut().find(is_it).filter(|parcel| parcel.arrival.is_none())?;
    (parcel.arrival, parcel.at) = (Some(arrived.arrival), Some(arrived.at));
    row.version += 1;
    Some(News {
        order: row.order,
        trace: row.trace,
        carrier_id: booking.id,
        tracking: arrived.tracking.clone(),
        arrival: arrived.arrival,
        at: arrived.at,
        promised_by: booking.promised_by,
        version: row.version,
        whole: row.is_delivered(),
    })
}

async fn put(connection: &mut PgConnection, rows: &[&Shipment]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let first = |row: &&Shipment| row.parcels.first().and_then(|parcel| parcel.arrival.zip(parcel.at));
    sqlx::query(ARRIVED)
        .bind(rows.iter().map(|row| row.order.0).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| first(row).map(|(arrival, _)| arrival.as_str())).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| first(row).map(|(_, at)| at)).collect::<Vec<Option<Timestamp>>>())
        .bind(rows.iter().map(|row| further(&row.parcels)).collect::<Vec<_>>())
        .bind(rows.iter().map(|row| row.version).collect::<Vec<_>>())
        .execute(connection)
        .await?;
    Ok(())
}
