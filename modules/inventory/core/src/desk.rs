//! Where a write is decided: the rows it read, and what becomes of them, in memory.
//!
//! Use cases change reservations alone. What moves in stock follows from the difference, so that stock and
//! reservations cannot disagree.

use std::collections::{BTreeMap, BTreeSet};

use banyan_kernel::{Answer, Command, Context, Json, OrderId, Places, Sku, Timestamp};
use banyan_store::{Locks, Store, StoreError, Tell, Write, by_halves};
use futures::future::BoxFuture;
use inventory_api::{InventoryReleased, ReservationState};
use serde::Serialize;

use crate::{
    reservation::{self, Lines, Reservation, unfold},
    stock::{self, Move, Stock},
};

/// What caused a change: its id, and who in which trace.
pub(crate) type Cause<'a> = (&'a str, &'a Context);

/// Which SKUs a batch decides from.
pub(crate) type Wanted<B> = fn(&Desk, &Command<B>) -> Vec<Sku>;

/// Decides one command on the desk.
pub(crate) type Decide<B, R> = fn(&mut Desk, &Command<B>) -> Answer<R>;

/// The rows of one write. Locked before they are read, they stay true until it commits.
pub(crate) struct Desk {
    /// When this write is decided.
    pub now: Timestamp,
    /// What is still free of the SKUs that were asked for, and where it stands.
    pub stock: BTreeMap<Sku, Stock>,
    read: BTreeMap<OrderId, Reservation>,
    rows: BTreeMap<OrderId, Reservation>,
    told: Vec<Tell>,
}

/// Decides a batch of commands, by halves where PostgreSQL refuses. Answers in the order asked.
pub(crate) async fn run<'a, B: Sync, R: Send + 'a>(
    store: &'a Store,
    batch: &'a [Command<B>],
    wanted: Wanted<B>,
    decide: Decide<B, R>,
) -> Vec<Answer<R>> {
    let write = |items: Vec<&'a Command<B>>| -> BoxFuture<'a, _> {
        let mut sorted: Vec<(usize, &Command<B>)> = items.into_iter().enumerate().collect();
        sorted.sort_by_key(|(_, command)| &command.id);
        Box::pin(run_sorted(store, sorted, wanted, decide))
    };
    let answers = by_halves(batch.iter().collect(), &write).await.into_iter();
    answers.map(|answer| answer.unwrap_or_else(Answer::from)).collect()
}

async fn run_sorted<B, R>(
    store: &Store,
    sorted: Vec<(usize, &Command<B>)>,
    wanted: Wanted<B>,
    decide: Decide<B, R>,
) -> Result<Vec<Answer<R>>, StoreError> {
    let orders: Vec<OrderId> = sorted.iter().map(|(_, command)| command.id.order).collect();
    let mut write = store.begin(&locks(&orders)).await?;
    let mut desk = Desk::read(&mut write, &orders, store.clock().now()).await?;
    let skus = sorted.iter().flat_map(|(_, command)| wanted(&desk, command)).collect();
    desk.count(&mut write, skus).await?;
    let mut answers: Vec<(usize, Answer<R>)> =
        sorted.into_iter().map(|(at, command)| (at, decide(&mut desk, command))).collect();
    desk.write(&mut write).await?;
    write.commit().await?;
    answers.sort_by_key(|(at, _)| *at);
    Ok(answers.into_iter().map(|(_, answer)| answer).collect())
}

/// The locks of these orders.
pub(crate) fn locks(orders: &[OrderId]) -> Locks {
    Locks::none().and("order", orders.iter().map(OrderId::to_string))
}

impl Desk {
    /// Reads the rows of locked orders.
    pub async fn read(write: &mut Write, orders: &[OrderId], now: Timestamp) -> Result<Self, StoreError> {
        let read = reservation::read(write, orders).await?;
        Ok(Self { now, stock: BTreeMap::new(), rows: read.clone(), read, told: Vec::new() })
    }

    /// Locks and counts what is free of SKUs.
    async fn count(&mut self, write: &mut Write, skus: BTreeSet<Sku>) -> Result<(), StoreError> {
        stock::lock(write, &skus).await?;
        self.stock = stock::read(write, skus).await?;
        Ok(())
    }

    /// Where lines that were counted stand; none, where all of them stand at `main`.
    pub fn places_of(&self, lines: &Lines) -> Option<Places> {
        let place = |sku: &Sku| Some((sku.clone(), self.stock.get(sku)?.place.clone()));
        let places: Places = lines.keys().filter_map(place).collect();
        (!places.is_empty()).then_some(places)
    }

    /// The order's row as it stands by now.
    pub fn row(&self, order: OrderId) -> Option<&Reservation> {
        self.rows.get(&order)
    }

    /// The same, to be changed.
    pub fn row_mut(&mut self, order: OrderId) -> Option<&mut Reservation> {
        self.rows.get_mut(&order)
    }

    /// Puts a row in the order's place.
    pub fn put(&mut self, order: OrderId, row: Reservation) {
        self.rows.insert(order, row);
    }

    /// Gives the order's stock back, if it has any, and tells so.
    pub fn give_back(&mut self, order: OrderId, reason: &str, cause: Cause<'_>) {
        let Some(row) = self.rows.get_mut(&order) else { return };
        row.state = ReservationState::Released;
        row.reason = Some(reason.to_owned());
        let lines = unfold(&row.lines);
        self.tell(
            order,
            InventoryReleased::KIND,
            &InventoryReleased { order, lines, reason: reason.to_owned() },
            cause,
        );
    }

    /// Tells an event as the order's next.
    pub fn tell(
        &mut self,
        order: OrderId,
        kind: &'static str,
        event: &impl Serialize,
        (causation, context): Cause<'_>,
    ) {
        let Some(row) = self.rows.get_mut(&order) else { return };
        row.version += 1;
        self.told.push(Tell {
            kind,
            subject: order.to_string(),
            sequence: row.version,
            schema_version: 1,
            // Contract types are plain structs of texts and numbers: they always have a JSON form.
            data: serde_json::to_value(event).unwrap_or(Json::Null),
            at: self.now,
            causation: causation.to_owned(),
            context: context.clone(),
        });
    }

    /// Writes what differs from what was read, in constant statements: rows, stock, events.
    pub async fn write(&self, write: &mut Write) -> Result<(), StoreError> {
        let moves = self.moves();
        // Whoever counted has locked what it can move.
        stock::lock(write, moves.keys().copied().filter(|sku| !self.stock.contains_key(*sku))).await?;
        let (mut gone, mut new, mut moved_on) = (Vec::new(), Vec::new(), Vec::new());
        for (order, was, row) in self.changes() {
            match was {
                Some(was) if was.attempt == row.attempt => moved_on.push((order, was, row)),
                Some(_) => (gone.push(order), new.push((order, row))).1,
                None => new.push((order, row)),
            }
        }
        reservation::clear(write, &gone).await?;
        reservation::insert(write, &new).await?;
        reservation::update(write, &moved_on, self.now).await?;
        stock::shift(write, &moves).await?;
        write.tell(&self.told).await
    }

    fn changes(&self) -> impl Iterator<Item = (OrderId, Option<&Reservation>, &Reservation)> {
        let rows = self.rows.iter().map(|(order, row)| (*order, self.read.get(order), row));
        rows.filter(|(_, was, row)| *was != Some(row))
    }

    /// What the changed rows take of stock, less what they took before.
    fn moves(&self) -> BTreeMap<&Sku, Move> {
        let mut moves = BTreeMap::new();
        for (_, was, row) in self.changes() {
            add(&mut moves, row, 1);
            if let Some(was) = was {
                add(&mut moves, was, -1);
            }
        }
        moves.retain(|_, by| *by != Move::default());
        moves
    }
}

fn add<'a>(moves: &mut BTreeMap<&'a Sku, Move>, row: &'a Reservation, sign: i64) {
    for (sku, quantity) in row.lines.iter().filter(|_| row.state.has_stock()) {
        let by = moves.entry(sku).or_default();
        let place = if row.state == ReservationState::Shipped { &mut by.shipped } else { &mut by.reserved };
        *place += sign * quantity.get();
    }
}
