//! A module's desk for calls to the outside: its rows carry the intents of its calls, and all its writes go one
//! way: locks, one read, decisions in memory, then a constant number of statements.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use banyan_kernel::{Answer, CommandId, Context, OrderId, Refusal, Timestamp, TraceParent};
use banyan_store::sqlx::{self, PgConnection};
use banyan_store::{Locks, Store, StoreError, Write, by_halves};

use super::{Caller, Intent, Outcome, Timing};

/// What a module keeps of an order, with the intent of the call under way.
pub trait Record: Clone + Send + Sync + 'static {
    /// Whose.
    fn order(&self) -> OrderId;
    /// The trace it belongs to.
    fn trace(&mut self) -> &mut TraceParent;
    /// Of the call under way, or of the last one.
    fn intent(&self) -> &Intent;
    /// To change it.
    fn intent_mut(&mut self) -> &mut Intent;
    /// The id of the call under way; none when there is none.
    fn command(&self) -> Option<CommandId>;
}

/// A trace as rows keep it: its id, which is the correlation id. [`TraceParent::kept`] leads back to the
/// order's own span in it.
#[must_use]
pub fn trace_id(trace: &TraceParent) -> sqlx::types::Uuid {
    // A trace id is 32 hexadecimal digits, as a UUID is.
    trace.correlation().parse().unwrap_or_default()
}

/// What a module does with its rows and its callee; the way it goes is [`super::ask()`] and [`super::Reconciler`].
#[async_trait]
pub trait Desk: Clone + Send + Sync + 'static {
    /// One row.
    type Row: Record;
    /// What comes of a call that is done.
    type Came: Clone + Send + Sync + 'static;
    /// What is told, or booked, with a change of a row.
    type Told: Send + Sync;
    /// The group of its reconciler.
    const GROUP: &'static str;
    /// Orders whose intents are due: in slots `$1`, at `$2`, or further away than `$3`; at most `$4`.
    const DUE: &'static str;

    /// Where its rows are.
    fn store(&self) -> &Store;
    /// The way to its callee.
    fn caller(&self) -> &Caller;
    /// Makes the call under way, or looks it up. No transaction is open.
    async fn call(&self, row: &Self::Row) -> Outcome<Self::Came>;
    /// The row after its call was done or refused.
    fn settle(row: &mut Self::Row, how: Result<Self::Came, Refusal>, context: &Context)
    -> Option<Self::Told>;
    /// The rows of these orders that there are.
    async fn read(connection: &mut PgConnection, orders: &[OrderId]) -> Result<Vec<Self::Row>, sqlx::Error>;
    /// Puts new rows, changed rows, and what is told with them.
    async fn put(write: &mut Write, changes: Changes<'_, Self>, at: Timestamp) -> Result<(), StoreError>;
}

/// What one write leaves behind.
pub struct Changes<'a, D: Desk> {
    /// Rows that were not there.
    pub new: Vec<&'a D::Row>,
    /// Rows that were.
    pub old: Vec<&'a D::Row>,
    /// What is told with them.
    pub told: Vec<D::Told>,
}

/// What a command means for a row as it stands.
pub enum Judged<R, A> {
    /// Nothing changes.
    Answer(Answer<A>),
    /// The row changes, and nobody outside needs to be asked.
    Record(R, Answer<A>),
    /// The row from now on, with a call to be made.
    Intend(R),
}

/// What a command gets whose order has a call under way: it is `Pending`, unless it cannot be told what became
/// of that call; then the call is looked up.
pub fn under_way<R: Record, A>(row: &R) -> Judged<R, A> {
    if row.intent().broken.is_none() {
        return Judged::Answer(Answer::Pending);
    }
    let mut row = row.clone();
    *row.intent_mut() = row.intent().looked_up_first();
    Judged::Intend(row)
}

/// What an item makes of its order's row.
pub(super) struct Decision<D: Desk, A> {
    /// The row from now on, where it changed.
    pub(super) change: Option<D::Row>,
    pub(super) told: Option<D::Told>,
    pub(super) reply: A,
}

/// A call whose intent is committed.
#[derive(Clone)]
pub(super) struct Asked<R> {
    pub(super) row: R,
    pub(super) context: Context,
}

impl<R: Record> Asked<R> {
    /// Marks the call as being made now; to be committed before it is.
    pub(super) fn claim(mut row: R, context: Context, timing: &Timing, now: Timestamp) -> Self {
        if let Some(id) = row.command() {
            row.intent_mut().claim(&id, timing, now);
        }
        Self { row, context }
    }
}

/// Decides on all items in one write; only an item whose statement fails sees the error. Items of the same order
/// see each other's changes.
pub(super) async fn write<D: Desk, I, A>(
    desk: &D,
    items: Vec<I>,
    order: impl Fn(&I) -> OrderId + Sync,
    decide: impl Fn(Option<&D::Row>, &I, Timestamp) -> Decision<D, A> + Sync,
) -> Vec<Result<A, StoreError>>
where
    I: Clone + Send + Sync,
    A: Send,
{
    let (order, decide) = (&order, &decide);
    by_halves(items, &|batch| Box::pin(write_once(desk, batch, order, decide))).await
}

async fn write_once<D: Desk, I, A>(
    desk: &D,
    batch: Vec<I>,
    order: &(impl Fn(&I) -> OrderId + Sync),
    decide: &(impl Fn(Option<&D::Row>, &I, Timestamp) -> Decision<D, A> + Sync),
) -> Result<Vec<A>, StoreError>
where
    I: Send + Sync,
    A: Send,
{
    let orders: BTreeSet<OrderId> = batch.iter().map(order).collect();
    let orders: Vec<OrderId> = orders.into_iter().collect();
    let locks = Locks::none().and("order", orders.iter().map(ToString::to_string));
    let mut write = desk.store().begin(&locks).await?;
    let now = desk.store().clock().now();
    let read = D::read(write.connection(), &orders).await?;
    let mut rows: BTreeMap<OrderId, D::Row> = read.into_iter().map(|row| (row.order(), row)).collect();
    let known: BTreeSet<OrderId> = rows.keys().copied().collect();
    let (mut changed, mut told, mut replies) = (BTreeSet::new(), Vec::new(), Vec::new());
    // In the order of the batch, each item on what those before it left.
    for item in &batch {
        let decision = decide(rows.get(&order(item)), item, now);
        if let Some(row) = decision.change {
            changed.insert(row.order());
            rows.insert(row.order(), row);
        }
        told.extend(decision.told);
        replies.push(decision.reply);
    }
    if changed.is_empty() {
        write.abandon().await;
        return Ok(replies);
    }
    let (old, new) =
        changed.iter().filter_map(|order| rows.get(order)).partition(|row| known.contains(&row.order()));
    D::put(&mut write, Changes { new, old, told }, now).await?;
    write.commit().await?;
    Ok(replies)
}
