//! What must always be true, judged: `banyan audit`.
//!
//! Each module tells facts about its own schema; here they are joined, in short chunks, with each other and
//! with the outside's own books, of which a sum per order alone is kept. Orders that are settled are judged strictly; open ones may hold only what
//! their state allows, and must settle by their deadline.

mod book;
mod judge;

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
    time::Duration,
};

use banyan_kernel::{Answer, OrderId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{compose::Shop, config::Outside};
use book::Book;
use judge::{Facts, judge_order};

/// Orders joined at a time.
const CHUNK_ORDERS: u16 = 250;
/// An order that takes longer must be listed as stuck.
pub const DEADLINE: Duration = Duration::from_secs(120);
/// Events reach their consumers within this, also after a crash, when each slot's next ones are applied one
/// by one; until then an ended order of which not everybody has heard counts as open.
const DELIVERY: Duration = Duration::from_secs(60);
/// Violations named of each check; all are counted.
const NAMED_MAX: usize = 20;

/// Each thing that must always be true.
pub const CHECKS: [&str; 8] = ["stock", "money", "ended", "once", "chain", "order", "replay", "read-model"];

/// Why the audit could not be made.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// A module does not say now.
    #[error("{0}")]
    Away(String),
    /// The outside's books.
    #[error("the outside's book cannot be read: {0}")]
    Book(String),
}

/// One thing that must always be true.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Check {
    /// Its name.
    pub name: String,
    /// How often it was found untrue.
    pub violations: u64,
    /// The first of them, in words.
    pub named: Vec<String>,
}

/// What was found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Audit {
    /// When.
    #[serde(with = "banyan_kernel::rfc3339")]
    pub at: Timestamp,
    /// Orders judged strictly.
    pub settled: u64,
    /// Orders under way.
    pub open: u64,
    /// Orders that a person must look at.
    pub stuck: u64,
    /// Lines of the outside's book; none, where it keeps none that can be read.
    pub book_lines: Option<u64>,
    /// Each check.
    pub checks: Vec<Check>,
}

impl Audit {
    fn new(at: Timestamp) -> Self {
        let check = |name: &&str| Check { name: (*name).to_owned(), violations: 0, named: Vec::new() };
        Self {
            at,
            settled: 0,
            open: 0,
            stuck: 0,
            book_lines: None,
            checks: CHECKS.iter().map(check).collect(),
        }
    }

    fn violated(&mut self, name: &str, what: String) {
        if let Some(check) = self.checks.iter_mut().find(|check| check.name == name) {
            check.violations += 1;
            if check.named.len() < NAMED_MAX {
                check.named.push(what);
            }
        }
    }

    /// What a module's own sums found; that they cannot be taken is a violation as well.
    fn summed<T: fmt::Display>(
        &mut self,
        name: &str,
        of: &str,
        found: Result<Vec<T>, Unread>,
    ) -> Result<(), AuditError> {
        match found {
            Ok(found) => found.iter().for_each(|what| self.violated(name, format!("{of}{what}"))),
            Err(Unread::Away(why)) => return Err(AuditError::Away(why)),
            Err(Unread::Garbled(why)) => self.violated(name, format!("the sums cannot be taken: {why}")),
        }
        Ok(())
    }

    /// Whether all is true.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.checks.iter().all(|check| check.violations == 0)
    }
}

/// Judges everything.
///
/// # Errors
/// When a database or the outside's book cannot be read.
pub async fn run(
    shop: &Shop,
    outside: &Outside,
    client: &reqwest::Client,
    now: Timestamp,
) -> Result<Audit, AuditError> {
    let mut audit = Audit::new(now);
    let mut book = Book::of(outside, client);
    let mut unplaced = BTreeSet::new();
    let mut next = Some(OrderId(Uuid::nil()));
    while let Some(after) = next {
        next = read_now(shop.orders.facts.page_end(after, CHUNK_ORDERS).await)?;
        let chunk = read(shop, &mut audit, after, next.unwrap_or(OrderId(Uuid::max()))).await?;
        // The book after the facts: what a module knows to be done is in it.
        if let Some(book) = &mut book {
            book.read_on().await?;
        }
        for facts in chunk {
            let done = book.as_mut().map(|book| book.take(facts.id));
            judge_order(&mut audit, &facts, done.as_ref(), now);
            if facts.order.is_none() {
                unplaced.insert(facts.id);
            }
        }
    }
    audit.book_lines = book.as_ref().map(|book| book.lines);
    unplaced.extend(book.iter().flat_map(Book::left));
    for order in strangers(shop, unplaced).await? {
        audit.violated("once", format!("{order}: something was done for an order that nobody placed"));
    }
    for line in book.iter().flat_map(|book| &book.nameless) {
        audit.violated(
            "once",
            format!("the outside's book has a line of no order that could be ours: {line}"),
        );
    }
    audit.summed("stock", "product ", told(shop.inventory.facts.violations().await))?;
    audit.summed("money", "", told(shop.payments.facts.violations().await))?;
    audit.summed("read-model", "", told(shop.orders.facts.sales_violations().await))?;
    Ok(audit)
}

/// Why a module's facts could not be had.
enum Unread {
    /// Later they may be.
    Away(String),
    /// What they are made of is not what it should be.
    Garbled(String),
}

/// What a module says, which may be elsewhere.
fn told<T>(answer: Answer<T>) -> Result<T, Unread> {
    let why = match answer {
        Answer::Done(told) => return Ok(told),
        Answer::Broken(why) => return Err(Unread::Garbled(why)),
        Answer::Unavailable(why) => why,
        Answer::Pending => "it is still looking".to_owned(),
        Answer::Rejected(refusal) => refusal.detail,
    };
    Err(Unread::Away(why))
}

/// What the audit cannot go on without.
fn read_now<T>(answer: Answer<T>) -> Result<T, AuditError> {
    told(answer).map_err(|unread| match unread {
        Unread::Away(why) | Unread::Garbled(why) => AuditError::Away(why),
    })
}

/// As [`gather`], but for what cannot be read: the order it is about is named, and hides no other.
async fn read(
    shop: &Shop,
    audit: &mut Audit,
    after: OrderId,
    upto: OrderId,
) -> Result<Vec<Facts>, AuditError> {
    let (mut chunk, mut unreadable) = (Vec::new(), 0);
    let mut ranges = vec![(after, upto)];
    while let Some((after, upto)) = ranges.pop() {
        match (gather(shop, after, upto).await, halfway(after, upto)) {
            (Ok(facts), _) => chunk.extend(facts),
            (Err((_, Unread::Away(why))), _) => return Err(AuditError::Away(why)),
            (Err((_, Unread::Garbled(why))), _) if unreadable == NAMED_MAX => {
                return Err(AuditError::Away(format!("too much cannot be read: {why}")));
            }
            (Err(_), Some(middle)) => ranges.extend([(middle, upto), (after, middle)]),
            (Err((check, Unread::Garbled(why))), None) => {
                unreadable += 1;
                audit.violated(check, format!("{upto}: what is known of it cannot be read: {why}"));
            }
        }
    }
    Ok(chunk)
}

/// Between two orders by their ids; none, where the range is one order.
fn halfway(after: OrderId, upto: OrderId) -> Option<OrderId> {
    let (after, upto) = (after.0.as_u128(), upto.0.as_u128());
    let middle = after + (upto - after) / 2;
    (middle > after).then_some(OrderId(Uuid::from_u128(middle)))
}

/// Those of the orders that a module or the outside's book knows, and orders did not, that it still does not: one may have been
/// placed, or something done for it, after its chunk was judged.
async fn strangers(shop: &Shop, unplaced: BTreeSet<OrderId>) -> Result<Vec<OrderId>, AuditError> {
    let mut strangers: Vec<OrderId> = unplaced.into_iter().collect();
    let mut placed_since = HashSet::new();
    for chunk in strangers.chunks(CHUNK_ORDERS.into()) {
        let settled = read_now(shop.orders.facts.settled(chunk.to_vec()).await)?;
        placed_since.extend(settled.into_iter().map(|order| order.id));
    }
    strangers.retain(|order| !placed_since.contains(order));
    Ok(strangers)
}

/// All modules' facts about the orders of one chunk. Orders first: what the others did for an order that is
/// ended by then is there. An error says which check it keeps from being made.
async fn gather(shop: &Shop, after: OrderId, upto: OrderId) -> Result<Vec<Facts>, (&'static str, Unread)> {
    fn of(all: &mut BTreeMap<OrderId, Facts>, order: OrderId) -> &mut Facts {
        all.entry(order).or_insert_with(|| Facts::of(order))
    }
    let mut all = BTreeMap::new();
    let blinds = |check: &'static str| move |unread| (check, unread);
    for fact in told(shop.orders.facts.facts(after, upto).await).map_err(blinds("chain"))? {
        let facts = of(&mut all, fact.id);
        facts.order = Some(fact);
    }
    let (reservations, payments, shipments, mails) = tokio::try_join!(
        async { told(shop.inventory.facts.facts(after, upto).await).map_err(blinds("stock")) },
        async { told(shop.payments.facts.facts(after, upto).await).map_err(blinds("money")) },
        async { told(shop.shipping.facts.facts(after, upto).await).map_err(blinds("once")) },
        async { told(shop.notifications.facts.facts(after, upto).await).map_err(blinds("once")) },
    )?;
    for fact in reservations {
        let facts = of(&mut all, fact.order);
        facts.reservation = Some(fact);
    }
    for fact in payments {
        let facts = of(&mut all, fact.order);
        facts.payment = Some(fact);
    }
    for fact in shipments {
        let facts = of(&mut all, fact.order);
        facts.shipment = Some(fact);
    }
    for fact in mails {
        let facts = of(&mut all, fact.order);
        facts.mails = Some(fact);
    }
    Ok(all.into_values().collect())
}
