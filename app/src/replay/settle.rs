//! Follows every accepted order to its end, and keeps what the report needs of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use banyan_kernel::{OrderId, Timestamp};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;
use tokio::time::sleep;

use super::{
    Percentiles, Phase, Progress, Tally,
    client::{Call, Shop},
    drive::{Driven, Order},
    percentiles::Histogram,
};

/// Orders of one question, the API's limit.
const CHUNK: usize = 1_000;
const PATH: &str = "/admin/orders/settled";

#[derive(Deserialize)]
struct Settled {
    orders: Vec<Standing>,
}

/// Where one order stands.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Standing {
    pub(super) id: OrderId,
    pub(super) state: String,
    #[serde(default)]
    pub(super) cause: Option<String>,
    #[serde(with = "banyan_kernel::rfc3339")]
    pub(super) placed_at: Timestamp,
    #[serde(default, with = "banyan_kernel::rfc3339::option")]
    pub(super) ended_at: Option<Timestamp>,
    #[serde(default)]
    pub(super) asked_again: bool,
    #[serde(default)]
    pub(super) compensated: bool,
    #[serde(default)]
    pub(super) parcels: i32,
}

/// The first order found of a kind that is worth a look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) order: OrderId,
    pub(super) took: Duration,
}

/// All orders, as they ended.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// By state and cause.
    pub(super) ended: BTreeMap<(String, Option<String>), u64>,
    /// Still under way when the wait ended.
    pub(super) open: u64,
    /// Why the wait ended before its time.
    pub(super) trouble: Option<String>,
    pub(super) shipping: Option<Percentiles>,
    /// First-time orders shipped a second, from the first one placed to the last one shipped.
    pub(super) shipped_per_s: Option<f64>,
    pub(super) revenue_minor: i64,
    pub(super) shipped: BTreeSet<OrderId>,
    /// How many of them went in several parcels.
    pub(super) split: u64,
    pub(super) compensated: Option<Found>,
    pub(super) asked_again: Option<Found>,
    pub(super) slowest: Option<Found>,
}

struct Follow {
    open: BTreeSet<OrderId>,
    ledger: Ledger,
    tally: Tally,
    shipping: Histogram,
    first_placed: Option<Timestamp>,
    last_shipped: Option<Timestamp>,
    shipped_first_time: u64,
}

/// Asks after all open orders until none is left, or none ends for too long, or the shop no longer answers:
/// what is known by then is kept. None where no admin address is known.
pub(super) async fn settle(shop: &Shop, driven: &Driven, progress: &dyn Progress) -> Option<Ledger> {
    let url = shop.admin(PATH)?;
    progress.phase(Phase::Settling, Some(driven.orders.len() as u64));
    let mut follow = Follow::new(driven);
    // Only waiting counts: a look that is asked again while the shop starts anew is no standstill.
    let mut idle = Duration::ZERO;
    loop {
        let before = follow.open.len();
        follow.ledger.trouble = look(shop, &url, &driven.orders, &mut follow).await.err();
        progress.tally(&follow.tally);
        idle = if follow.open.len() < before { Duration::ZERO } else { idle };
        if follow.open.is_empty() || idle >= shop.patience.stall || follow.ledger.trouble.is_some() {
            return Some(follow.finish());
        }
        sleep(shop.patience.poll).await;
        idle += shop.patience.poll;
    }
}

/// One look at all open orders.
async fn look(
    shop: &Shop,
    url: &str,
    orders: &BTreeMap<OrderId, Order>,
    follow: &mut Follow,
) -> Result<(), String> {
    let open: Vec<OrderId> = follow.open.iter().copied().collect();
    for chunk in open.chunks(CHUNK) {
        for standing in ask(shop, url, chunk).await? {
            let ended = has_ended(&standing) && follow.open.remove(&standing.id);
            if let Some(order) = orders.get(&standing.id).filter(|_| ended) {
                follow.note(&standing, *order);
            }
        }
    }
    Ok(())
}

async fn ask(shop: &Shop, url: &str, orders: &[OrderId]) -> Result<Vec<Standing>, String> {
    let body = json!({ "orders": orders }).to_string().into_bytes();
    let url = url.to_owned();
    let call = Call { method: Method::POST, url, token: &shop.staff_token, key: None, body: Some(body) };
    let answer = shop.ask(&call).await.map_err(|none| none.to_string());
    let settled: Result<Settled, _> = answer.and_then(|answer| answer.read());
    Ok(settled.map_err(|why| format!("POST {PATH}: {why}"))?.orders)
}

/// A stuck order waits for a person: the replay does not.
fn has_ended(standing: &Standing) -> bool {
    matches!(standing.state.as_str(), "shipped" | "cancelled" | "stuck")
}

impl Follow {
    fn new(driven: &Driven) -> Self {
        Self {
            open: driven.orders.keys().copied().collect(),
            ledger: Ledger::default(),
            tally: Tally { done: 0, ..driven.tally.clone() },
            shipping: Histogram::new(),
            first_placed: None,
            last_shipped: None,
            shipped_first_time: 0,
        }
    }

    fn note(&mut self, standing: &Standing, order: Order) {
        self.tally.done += 1;
        *self.ledger.ended.entry((standing.state.clone(), standing.cause.clone())).or_default() += 1;
        match standing.state.as_str() {
            "shipped" => self.shipped(standing, order),
            "cancelled" => self.tally.cancelled += 1,
            _ => self.tally.stuck += 1,
        }
        let found = Found { order: standing.id, took: took(standing) };
        if standing.compensated {
            self.ledger.compensated.get_or_insert(found);
        }
        if standing.asked_again && standing.state == "shipped" {
            self.ledger.asked_again.get_or_insert(found);
        }
    }

    fn shipped(&mut self, standing: &Standing, order: Order) {
        let found = Found { order: standing.id, took: took(standing) };
        self.tally.shipped += 1;
        self.shipping.record(found.took);
        self.ledger.shipped.insert(found.order);
        self.ledger.split += u64::from(standing.parcels > 1);
        self.ledger.revenue_minor = self.ledger.revenue_minor.saturating_add(order.total_minor);
        if self.ledger.slowest.is_none_or(|slowest| slowest.took < found.took) {
            self.ledger.slowest = Some(found);
        }
        if !order.repeated {
            self.shipped_first_time += 1;
            let first = self.first_placed.unwrap_or(standing.placed_at);
            self.first_placed = Some(first.min(standing.placed_at));
            self.last_shipped = self.last_shipped.max(standing.ended_at);
        }
    }

    fn finish(mut self) -> Ledger {
        let window =
            self.first_placed.zip(self.last_shipped).map(|(first, last)| (last - first).as_seconds_f64());
        let per_s = window.filter(|s| *s > 0.0).map(|seconds| self.shipped_first_time as f64 / seconds);
        self.ledger.shipped_per_s = per_s;
        self.ledger.shipping = self.shipping.percentiles();
        self.ledger.open = self.open.len() as u64;
        self.ledger
    }
}

/// By the shop's own times.
fn took(standing: &Standing) -> Duration {
    let ended_at = standing.ended_at.unwrap_or(standing.placed_at);
    Duration::try_from(ended_at - standing.placed_at).unwrap_or_default()
}
