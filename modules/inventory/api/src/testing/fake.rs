//! Inventory in memory, for the tests of who depends on it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use banyan_kernel::{
    Answer, Clock, Command, CommandId, Context, Line, OrderId, Place, Places, Refusal, Sku, Timestamp,
};

use crate::{
    ConfirmReservation, Inventory, ReceiveStock, ReleaseStock, ReservationConfirmed, ReserveStock,
    StockLevel, StockReceived, StockReleased, StockReserved, Told, refusals,
};

/// Does what the real one does, without a database and without events.
pub struct FakeInventory {
    clock: Arc<dyn Clock>,
    books: Mutex<Books>,
}

#[derive(Default)]
struct Books {
    stock: BTreeMap<Sku, StockLevel>,
    reservations: BTreeMap<OrderId, Reservation>,
    receipts: BTreeMap<String, Receipt>,
}

/// What came, and where it was said to be put.
type Receipt = (BTreeSet<(Sku, i64)>, Option<Place>);

#[derive(Clone)]
struct Reservation {
    attempt: u32,
    expires_at: Timestamp,
    lines: Vec<Line>,
    places: Places,
    state: State,
}

#[derive(Clone, PartialEq)]
enum State {
    Held,
    Committed,
    Shipped,
    Released { expired: bool },
    Refused(Refusal),
    Cancelled,
}

impl FakeInventory {
    /// With nothing in it.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, books: Mutex::default() }
    }

    /// As when orders tell that this order was shipped.
    ///
    /// # Panics
    /// When it has no committed reservation.
    pub fn ship(&self, order: OrderId) {
        let mut books = self.books();
        let reservation = books.reservations.get_mut(&order).expect("a reservation");
        assert!(reservation.state == State::Committed, "only what is committed is shipped");
        reservation.state = State::Shipped;
        for line in reservation.lines.clone() {
            let level = books.level(&line.sku);
            level.reserved -= line.quantity.get();
            level.shipped += line.quantity.get();
        }
    }

    /// Releases every hold that has expired, and tells how many.
    pub fn expire(&self) -> usize {
        let (now, mut books) = (self.clock.now(), self.books());
        let due = |(order, row): (&OrderId, &Reservation)| row.is_due(now).then_some(*order);
        let due: Vec<OrderId> = books.reservations.iter().filter_map(due).collect();
        due.iter().for_each(|order| books.give_back(*order, State::Released { expired: true }));
        due.len()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        // A test that panicked while holding them has failed already.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// In the order of ids, answered in the order asked.
    fn each<B, R>(
        &self,
        batch: &[Command<B>],
        decide: impl Fn(&mut Books, &CommandId, &B) -> Answer<R>,
    ) -> Vec<Answer<R>> {
        let mut sorted: Vec<(usize, &Command<B>)> = batch.iter().enumerate().collect();
        sorted.sort_by_key(|(_, command)| &command.id);
        let mut books = self.books();
        let answer =
            |(at, command): (usize, &Command<B>)| (at, decide(&mut books, &command.id, &command.body));
        let mut answers: Vec<(usize, Answer<R>)> = sorted.into_iter().map(answer).collect();
        answers.sort_by_key(|(at, _)| *at);
        answers.into_iter().map(|(_, answer)| answer).collect()
    }
}

#[async_trait]
impl Inventory for FakeInventory {
    async fn reserve(&self, batch: Vec<Command<ReserveStock>>) -> Vec<Answer<StockReserved>> {
        self.each(&batch, Books::reserve)
    }

    async fn confirm(&self, batch: Vec<Command<ConfirmReservation>>) -> Vec<Answer<ReservationConfirmed>> {
        let now = self.clock.now();
        self.each(&batch, |books, id, _| books.confirm(id.order, now))
    }

    async fn release(&self, batch: Vec<Command<ReleaseStock>>) -> Vec<Answer<StockReleased>> {
        let now = self.clock.now();
        self.each(&batch, |books, id, _| books.release(id, now))
    }

    async fn receive(&self, _: Context, batch: Vec<ReceiveStock>) -> Vec<Answer<StockReceived>> {
        let mut books = self.books();
        batch.iter().map(|item| books.receive(item)).collect()
    }

    async fn levels(&self, skus: Vec<Sku>) -> Answer<Vec<StockLevel>> {
        let asked = |level: &&StockLevel| skus.contains(&level.sku);
        Answer::Done(self.books().stock.values().filter(asked).cloned().collect())
    }
}

impl Reservation {
    fn is_due(&self, now: Timestamp) -> bool {
        self.state == State::Held && self.expires_at <= now
    }

    fn has_stock(&self) -> bool {
        matches!(self.state, State::Held | State::Committed | State::Shipped)
    }

    fn answer(&self) -> Answer<StockReserved> {
        match &self.state {
            State::Refused(refusal) => Answer::Rejected(refusal.clone()),
            State::Cancelled => Answer::Rejected(Refusal::cancelled()),
            _ => Answer::Done(StockReserved { expires_at: self.expires_at, places: self.places.clone() }),
        }
    }
}

impl Books {
    fn level(&mut self, sku: &Sku) -> &mut StockLevel {
        self.stock.entry(sku.clone()).or_insert_with(|| StockLevel::none(sku.clone()))
    }

    fn reserve(&mut self, id: &CommandId, body: &ReserveStock) -> Answer<StockReserved> {
        if let Some(row) = self.reservations.get_mut(&id.order) {
            if row.attempt > id.attempt {
                return Answer::rejected(Refusal::EXPIRED, "a later attempt has taken its place");
            }
            if row.attempt == id.attempt || row.has_stock() {
                row.attempt = id.attempt;
                return row.answer();
            }
        }
        if !are_lines(&body.lines) {
            return Answer::Broken("at least one line, each SKU once".into());
        }
        let state = match self.lacking(&body.lines) {
            Some(lacking) => State::Refused(Refusal::new(refusals::OUT_OF_STOCK, lacking)),
            None => State::Held,
        };
        if state == State::Held {
            self.keep(&body.lines);
        }
        let (attempt, expires_at, lines) = (id.attempt, body.expires_at, body.lines.clone());
        let places = self.places(&lines);
        let row = Reservation { attempt, expires_at, lines, places, state };
        let answer = row.answer();
        self.reservations.insert(id.order, row);
        answer
    }

    fn places(&self, lines: &[Line]) -> Places {
        let place = |line: &Line| Some((line.sku.clone(), self.stock.get(&line.sku)?.place.clone()));
        lines.iter().filter_map(place).collect()
    }

    fn lacking(&self, lines: &[Line]) -> Option<String> {
        let lacks = |line: &Line| {
            let more = line.quantity.get() - self.stock.get(&line.sku).map_or(0, |level| level.on_hand);
            (more > 0).then(|| format!("{} lacks {more}", line.sku))
        };
        let mut lacking: Vec<String> = lines.iter().filter_map(lacks).collect();
        lacking.sort();
        (!lacking.is_empty()).then(|| lacking.join(", "))
    }

    fn keep(&mut self, lines: &[Line]) {
        for line in lines {
            let level = self.level(&line.sku);
            level.on_hand -= line.quantity.get();
            level.reserved += line.quantity.get();
        }
    }

    fn give_back(&mut self, order: OrderId, state: State) {
        let Some(row) = self.reservations.get_mut(&order) else { return };
        row.state = state;
        for line in row.lines.clone() {
            let level = self.level(&line.sku);
            level.reserved -= line.quantity.get();
            level.on_hand += line.quantity.get();
        }
    }

    fn confirm(&mut self, order: OrderId, now: Timestamp) -> Answer<ReservationConfirmed> {
        let expired =
            || Answer::rejected(refusals::RESERVATION_EXPIRED, "the hold ended before it was confirmed");
        let not_reserved = || Answer::rejected(refusals::NOT_RESERVED, "no stock is kept for this order");
        let Some(row) = self.reservations.get_mut(&order) else { return not_reserved() };
        match &row.state {
            State::Held if row.is_due(now) => {
                self.give_back(order, State::Released { expired: true });
                expired()
            }
            State::Held => {
                row.state = State::Committed;
                Answer::Done(ReservationConfirmed {})
            }
            State::Committed | State::Shipped => Answer::Done(ReservationConfirmed {}),
            State::Refused(_) => not_reserved(),
            State::Released { expired: true } => expired(),
            State::Released { .. } | State::Cancelled => Answer::Rejected(Refusal::cancelled()),
        }
    }

    fn release(&mut self, id: &CommandId, now: Timestamp) -> Answer<StockReleased> {
        let row = self.reservations.get(&id.order).cloned();
        if row.as_ref().is_some_and(|row| row.attempt > id.attempt) {
            return Answer::Done(StockReleased {});
        }
        if row.as_ref().is_some_and(|row| row.state == State::Shipped) {
            return Answer::rejected(refusals::ALREADY_SHIPPED, "the goods have left");
        }
        if row.as_ref().is_some_and(Reservation::has_stock) {
            self.give_back(id.order, State::Released { expired: false });
        }
        if row.is_none_or(|row| row.attempt < id.attempt) {
            let (attempt, expires_at, lines) = (id.attempt, now, Vec::new());
            let (places, state) = (Places::default(), State::Cancelled);
            let tombstone = Reservation { attempt, expires_at, lines, places, state };
            self.reservations.insert(id.order, tombstone);
        }
        Answer::Done(StockReleased {})
    }

    fn receive(&mut self, item: &ReceiveStock) -> Answer<StockReceived> {
        if !are_lines(&item.lines) {
            return Answer::Broken("at least one line, each SKU once".into());
        }
        let lines: BTreeSet<(Sku, i64)> =
            item.lines.iter().map(|line| (line.sku.clone(), line.quantity.get())).collect();
        let receipt = (lines, item.place.clone());
        match self.receipts.get(&item.key) {
            Some(first) if *first == receipt => {
                return Answer::Done(StockReceived { repeated: true, told: Told::default() });
            }
            Some(_) => return Answer::rejected(refusals::KEY_REUSED, "this key came before"),
            None => {}
        }
        let (lines, place) = receipt;
        let elsewhere = |(sku, _): &&(Sku, i64)| {
            let level = self.stock.get(sku).filter(|level| level.on_hand + level.reserved > 0);
            level.is_some_and(|level| place.as_ref().is_some_and(|place| level.place != *place))
        };
        if lines.iter().any(|line| elsewhere(&line)) {
            return Answer::rejected(refusals::STANDS_ELSEWHERE, "some of it is left at another place");
        }
        for (sku, quantity) in &lines {
            let level = self.level(sku);
            level.on_hand += quantity;
            level.received += quantity;
            level.place = place.clone().unwrap_or(level.place.clone());
        }
        self.receipts.insert(item.key.clone(), (lines, place));
        Answer::Done(StockReceived { repeated: false, told: Told::default() })
    }
}

fn are_lines(lines: &[Line]) -> bool {
    let skus: BTreeSet<&Sku> = lines.iter().map(|line| &line.sku).collect();
    !lines.is_empty() && skus.len() == lines.len()
}
