//! The outside's own book, added up per order.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fmt,
    time::Duration,
};

use banyan_kernel::OrderId;
use serde::Deserialize;

use super::AuditError;
use crate::config::Outside;

/// How long a page of it may take: an outside that is frozen is told from a long audit.
const PAGE_TIME_MAX: Duration = Duration::from_secs(20);
/// Lines of one page.
const PAGE_LINES: u32 = 5_000;

/// What the outside did for one order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Done {
    pub(super) authorised: u32,
    pub(super) voided: u32,
    pub(super) captures: u32,
    pub(super) captured_minor: i64,
    pub(super) refunded_minor: i64,
    pub(super) booked: u32,
    pub(super) cancelled: u32,
    /// Of the money that moved.
    pub(super) currencies: BTreeSet<String>,
    /// What is on its way: the carrier's id, and the numbers on its parcels.
    pub(super) parcels: BTreeMap<String, Vec<String>>,
}

/// The book as far as it was read, added up for the orders that were not judged yet.
pub(super) struct Book<'a> {
    outside: &'a Outside,
    control: &'a str,
    client: &'a reqwest::Client,
    since: u64,
    pub(super) lines: u64,
    orders: HashMap<OrderId, Done>,
    /// What was done for what is no order of this shop's, line by line.
    pub(super) nameless: Vec<String>,
}

#[derive(Deserialize)]
struct Page {
    entries: Vec<Entry>,
    next: u64,
    more: bool,
}

#[derive(Deserialize)]
struct Entry {
    kind: String,
    order: Option<String>,
    id: Option<String>,
    amount_minor: i64,
    currency: Option<String>,
    shipment: Option<Shipment>,
}

#[derive(Deserialize)]
struct Shipment {
    tracking: String,
    #[serde(default)]
    further: Vec<String>,
}

impl Shipment {
    fn numbers(self) -> Vec<String> {
        [self.tracking].into_iter().chain(self.further).collect()
    }
}

impl<'a> Book<'a> {
    /// Unread; none, where the outside keeps none that can be read.
    pub(super) fn of(outside: &'a Outside, client: &'a reqwest::Client) -> Option<Self> {
        let control = outside.control.as_deref()?;
        let (orders, nameless) = (HashMap::new(), Vec::new());
        Some(Self { outside, control, client, since: 0, lines: 0, orders, nameless })
    }

    /// Reads on to its end.
    pub(super) async fn read_on(&mut self) -> Result<(), AuditError> {
        loop {
            let (address, since) = (&self.outside.address, self.since);
            let url = format!("{address}/sandbox/book?since={since}&limit={PAGE_LINES}");
            let failed = |error: reqwest::Error| AuditError::Book(error.without_url().to_string());
            let page = self.client.get(url).bearer_auth(self.control).timeout(PAGE_TIME_MAX);
            let answer = page.send().await.map_err(failed)?;
            let page: Page = answer.error_for_status().map_err(failed)?.json().await.map_err(failed)?;
            self.lines += page.entries.len() as u64;
            self.since = page.next;
            page.entries.into_iter().for_each(|entry| self.add(entry));
            if !page.more {
                return Ok(());
            }
        }
    }

    /// What was done for an order so far, which is asked once.
    pub(super) fn take(&mut self, order: OrderId) -> Done {
        self.orders.remove(&order).unwrap_or_default()
    }

    /// The orders that nobody asked for.
    pub(super) fn left(&self) -> impl Iterator<Item = OrderId> {
        self.orders.keys().copied()
    }

    fn add(&mut self, entry: Entry) {
        let Entry { kind, order, id, amount_minor, currency, shipment } = entry;
        let id = id.unwrap_or_default();
        let Some(order) = order.as_deref().and_then(|order| order.parse().ok()) else {
            // What was refused left nothing behind.
            if !matches!(kind.as_str(), "declined" | "shipment_refused") {
                let order = order.as_deref().unwrap_or("none");
                self.nameless.push(format!("{kind} {id}, of the order {order:?}"));
            }
            return;
        };
        let done = self.orders.entry(order).or_default();
        match kind.as_str() {
            "authorised" => done.authorised += 1,
            "captured" => {
                done.captures += 1;
                done.captured_minor += amount_minor;
            }
            "cancelled" => done.voided += 1,
            "refunded" => done.refunded_minor += amount_minor,
            "shipment_booked" => {
                done.booked += 1;
                done.parcels.insert(id, shipment.map(Shipment::numbers).unwrap_or_default());
            }
            "shipment_cancelled" => {
                done.cancelled += 1;
                done.parcels.remove(&id);
            }
            _ => return,
        }
        done.currencies.extend(currency.map(|currency| currency.to_uppercase()));
    }
}

impl fmt::Display for Done {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { authorised, voided, captures, captured_minor, refunded_minor, booked, cancelled, .. } =
            self;
        write!(f, "{authorised} authorised, {voided} let go, {captures} captured ({captured_minor}), ")?;
        write!(f, "{refunded_minor} given back, {booked} parcels booked, {cancelled} cancelled")
    }
}
