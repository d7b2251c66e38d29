//! C3: events that come in the wrong order are applied in the right one.

use std::{collections::BTreeMap, sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use async_trait::async_trait;
use banyan_bus::{Counters, Source};
use banyan_kernel::{Envelope, SLOTS, slot_of};
use banyan_lab::stage::until;
use banyan_store::{Page, Place, Position, Signal, StoreError, sqlx};
use orders_core::OrdersSource;
use tokio_util::sync::CancellationToken;

use super::{Cast, Row, Shown, open, own, played};

pub const ROW: Row = Row {
    name: "C3",
    title: "events out of order: the sequence tells a gap, and the gap is waited for and filled",
    says: [
        "40 orders are shipped; then a board hears of each first that it was shipped, then that it was placed.",
        "The board must end by saying of every order what is true.",
    ],
    without: &[(
        "sequence",
        "the board believes whatever it hears last: shipped orders stand there as just placed",
    )],
    file: "platform/bus/src/group.rs",
    play: |cast| Box::pin(play(cast)),
};

const ORDERS: usize = 40;
const DEADLINE: Duration = Duration::from_secs(60);
const BOARD: &str = "select order_id, says from lab.board";

async fn play(cast: Cast) -> Shown {
    let stage = Cast { without: None, ..cast }.stage();
    let shop = open(&stage, super::ShopOptions::default()).await;
    let (orders, _) = played(&shop, "c3", ORDERS).await;
    own::prepare(&shop.superuser()).await;
    let inner = Arc::new(OrdersSource::new(own::store(&shop.superuser(), orders_api::NAME)));
    let source = Arc::new(BackToFront::new(inner).await);
    let told = source.events.len() as u64;
    let (store, counters, stop) =
        (own::store(&shop.superuser(), own::LAB), Arc::new(Counters::default()), CancellationToken::new());
    let inbox = own::Board::inbox(&store, cast.without.is_none());
    let (counted, stopped) = (counters.clone(), stop.clone());
    let group = tokio::spawn(async move {
        own::serve(source, (&store, own::Board::GROUP), inbox, counted, stopped).await;
    });
    until(DEADLINE, "every event to be heard", async || {
        let heard = counters.applied.load(Relaxed) + counters.duplicates.load(Relaxed);
        (heard >= told && counters.applied.load(Relaxed) >= told.min(2 * ORDERS as u64)).then_some(())
    })
    .await;
    stop.cancel();
    group.await.expect("a group that ends");
    let board: Vec<(String, String)> =
        sqlx::query_as(BOARD).fetch_all(&shop.superuser_pool()).await.expect("the board");
    let wrong = board.iter().filter(|(_, says)| says != "OrderShipped").count();
    let gaps = counters.gaps.load(Relaxed);
    let figure = format!(
        "{told} events of {} orders back to front, {gaps} gaps seen; {wrong} orders wrong on the board",
        orders.len()
    );
    let as_said =
        if cast.without.is_some() { wrong > 0 } else { wrong == 0 && board.len() == ORDERS && gaps > 0 };
    Shown { figure, as_said }
}

/// A carrier that hands over each order's events in the opposite order.
struct BackToFront {
    inner: Arc<OrdersSource>,
    events: Vec<(Place, Envelope)>,
}

impl BackToFront {
    /// Of all that was told so far.
    async fn new(inner: Arc<OrdersSource>) -> Self {
        let slots: Vec<u16> = (0..SLOTS).collect();
        let page = inner.page(Position::START, &slots, 10_000).await.expect("the orders' events");
        let mut of_order: BTreeMap<String, Vec<Envelope>> = BTreeMap::new();
        for (_, event) in &page.events {
            of_order.entry(event.subject.clone()).or_default().push(event.clone());
        }
        // The last one told takes the first one's place, and so on.
        let swapped = |(at, event): (Place, Envelope)| {
            let last = of_order.get_mut(&event.subject).and_then(Vec::pop);
            (at, last.unwrap_or(event))
        };
        let events = page.events.into_iter().map(swapped).collect();
        Self { inner, events }
    }
}

#[async_trait]
impl Source for BackToFront {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    async fn page(&self, after: Position, slots: &[u16], limit: u16) -> Result<Page, StoreError> {
        let wanted = |(at, event): &&(Place, Envelope)| {
            at.position > after && slots.contains(&slot_of(&event.subject))
        };
        let events: Vec<_> = self.events.iter().filter(wanted).take(usize::from(limit)).cloned().collect();
        let full = events.len() == usize::from(limit);
        let last = events.last().map(|(at, _)| at.position);
        let end = if full { last } else { self.events.last().map(|(at, _)| at.position) };
        Ok(Page { end: end.unwrap_or(after).max(after), events })
    }

    async fn end(&self) -> Result<Position, StoreError> {
        self.inner.end().await
    }

    async fn of_subject(&self, subject: &str, after_sequence: i64) -> Result<Vec<Envelope>, StoreError> {
        self.inner.of_subject(subject, after_sequence).await
    }

    fn signal(&self) -> Signal {
        self.inner.signal()
    }
}
