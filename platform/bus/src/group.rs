//! The driver of one consumer group: reads pages for the slots in hand and has them applied.

use std::{collections::BTreeMap, collections::BTreeSet, sync::Arc, time::Duration};

use banyan_kernel::{Envelope, slot_of, stable_hash};
use banyan_store::{Held, Page, Place, Position};
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{
    Batch, Counters, Inbox, Letter, Outcome, Refused, Source,
    lanes::{CAREFUL_EVENTS, Cohort, Jitter, Lanes},
    settle,
    spans::{self, Deliveries},
};

/// The limits of a group's driver.
#[derive(Clone, Debug)]
pub struct GroupOptions {
    /// The largest page, in events: also what a group holds in memory.
    pub page_events: u16,
    /// Without a signal the source is looked at this often.
    pub poll: Duration,
    /// Of the back-off of what cannot be done now: the first and the largest.
    pub backoff: (Duration, Duration),
    /// So many tries of one event that fails for itself, then it is a dead letter.
    pub attempts: u32,
    /// Between two of these tries, at most.
    pub retry: Duration,
    /// So many processes that ended while they tried one event, then it is a dead letter.
    pub deaths: u32,
    /// Before an event is tried again while which a process ended, at most, and at least half of it; twice that after the
    /// second, and so on, up to sixteen times. Only what ends its process *whenever* it is tried is a dead letter, and not what
    /// happened to be under way each time that somebody ended it.
    pub suspicion: Duration,
    /// So often an event whose predecessor is missing is read again before the source is asked.
    pub gap_tries: u32,
    /// Between two of these.
    pub gap_wait: Duration,
    /// An idle slot's position is written this often, so that a restart does not read from far back.
    pub checkpoint: Duration,
    /// What jitter is drawn from.
    pub seed: u64,
}

impl Default for GroupOptions {
    fn default() -> Self {
        Self {
            page_events: 500,
            poll: Duration::from_secs(1),
            backoff: (Duration::from_millis(50), Duration::from_secs(5)),
            attempts: 3,
            retry: Duration::from_millis(100),
            deaths: 5,
            suspicion: Duration::from_secs(2),
            gap_tries: 3,
            gap_wait: Duration::from_millis(50),
            checkpoint: Duration::from_secs(10),
            seed: 1,
        }
    }
}

/// After a signal that brought nothing the source is looked at again soon: what was told may be above the
/// horizon of another's transaction, whose end nobody signals.
const SOON: Duration = Duration::from_millis(2);

type Item = (Place, Envelope);

/// What to do before the next page.
enum Rest {
    None,
    /// Everything there is was applied.
    Idle,
    /// Nothing may be served, or read, before this.
    Until(Instant),
}

struct Group<I> {
    source: Arc<dyn Source>,
    inbox: I,
    held: watch::Receiver<BTreeMap<u16, Held>>,
    told: watch::Receiver<u64>,
    options: GroupOptions,
    counters: Arc<Counters>,
    lanes: Lanes,
    jitter: Jitter,
    /// Reads of the source in a row that failed.
    failed_reads: u32,
    idle: Duration,
    checkpointed: Instant,
}

/// Serves a group's slots that are `held` until `stop`, or until nobody owns slots any more (`held` is
/// closed). Finishes the batch under way.
///
/// Always the slots furthest behind are served, in one page; a slot that had no events in it moves in memory
/// alone. Of a source whose slots are apart all are served, each from where it stands. What is committed is a batch's effects together with its slots' positions, under their epochs.
pub async fn run_group(
    source: Arc<dyn Source>,
    inbox: impl Inbox,
    held: watch::Receiver<BTreeMap<u16, Held>>,
    options: GroupOptions,
    counters: Arc<Counters>,
    stop: CancellationToken,
) {
    let told = source.signal().listen();
    let jitter = Jitter::new(options.seed);
    let (lanes, idle, checkpointed) = (Lanes::default(), SOON, Instant::now());
    let mut group = Group {
        source,
        inbox,
        held,
        told,
        options,
        counters,
        lanes,
        jitter,
        failed_reads: 0,
        idle,
        checkpointed,
    };
    while !stop.is_cancelled() {
        let rest = group.turn().await;
        if !group.rest(rest, &stop).await {
            break;
        }
    }
    group.checkpoint().await;
}

impl<I: Inbox> Group<I> {
    async fn turn(&mut self) -> Rest {
        let (group, suspicion) = (self.inbox.group(), self.options.suspicion);
        self.lanes.hold(&self.held.borrow_and_update(), |held, tries| rest_of(group, held, tries, suspicion));
        // Marked as heard before reading: what is told from now on wakes the rest below.
        self.told.borrow_and_update();
        let cohort = if self.source.is_apart() {
            self.lanes.all_apart(Instant::now())
        } else {
            self.lanes.cohort(Instant::now())
        };
        let rest = match cohort {
            Some(cohort) => self.serve(&cohort).await,
            None => Rest::Until(self.lanes.wakes().unwrap_or_else(|| Instant::now() + self.options.poll)),
        };
        self.counters.paused_slots.store(self.lanes.paused(), std::sync::atomic::Ordering::Relaxed);
        if let Some(position) = self.lanes.furthest_behind() {
            self.counters.reach(position, self.lanes.standing());
        }
        rest
    }

    /// Waits as told; false when there will never be slots again.
    async fn rest(&mut self, rest: Rest, stop: &CancellationToken) -> bool {
        let (until, listens) = match rest {
            Rest::None => {
                self.idle = SOON;
                return true;
            }
            Rest::Idle => {
                self.checkpoint_when_due().await;
                let until = Instant::now() + self.idle;
                self.idle = (self.idle * 2).min(self.options.poll);
                (self.lanes.wakes().map_or(until, |wakes| wakes.min(until)), true)
            }
            Rest::Until(until) => (until, false),
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => true,
            changed = self.held.changed() => changed.is_ok(),
            _ = self.told.changed(), if listens => { self.idle = SOON; true }
            () = tokio::time::sleep_until(until) => true,
        }
    }

    async fn serve(&mut self, cohort: &Cohort) -> Rest {
        let all_careful = cohort.careful.len() == cohort.slots.len();
        let limit = if all_careful { CAREFUL_EVENTS } else { self.options.page_events };
        let page = match self.source.next(&self.lanes.of(cohort), limit).await {
            Ok(page) => page,
            Err(error) => {
                self.failed_reads += 1;
                let (base, cap) = self.options.backoff;
                tracing::warn!(group = self.inbox.group(), %error, "cannot read the source");
                return Rest::Until(Instant::now() + self.jitter.draw(base, self.failed_reads, cap));
            }
        };
        self.failed_reads = 0;
        let is_apart = self.source.is_apart();
        let is_source_end = page.events.len() < usize::from(limit) && cohort.until.is_none() && !is_apart;
        let page = cut(page, cohort.until);
        let nothing = page.events.is_empty();
        self.work(page.events, &cohort.careful).await;
        self.lanes.reach(cohort, page.end, is_source_end);
        for passed in self.source.passed(&self.lanes.of(cohort)) {
            self.lanes.pass(&passed);
        }
        if nothing && cohort.all { Rest::Idle } else { Rest::None }
    }

    /// Applies a page: at once, or one by one; by halves where it fails, earlier events first.
    async fn work(&mut self, events: Vec<Item>, careful: &[u16]) {
        let is_careful = |(_, event): &Item| careful.contains(&slot_of(&event.subject));
        let (alone, together): (Vec<Item>, Vec<Item>) = events.into_iter().partition(is_careful);
        let mut ranges: Vec<Vec<Item>> = alone.into_iter().rev().map(|event| vec![event]).collect();
        ranges.push(together);
        while let Some(range) = ranges.pop() {
            let mut batch = self.batch(range);
            match (batch.events.len(), batch.events.first().is_some_and(is_careful)) {
                (0, _) => {}
                (1, true) => self.try_alone(batch).await,
                (count, _) => match self.apply(&batch).await {
                    Err(Refused::Failed(_)) if count > 1 => {
                        let second = batch.events.split_off(count / 2);
                        ranges.extend([second, batch.events]);
                    }
                    Err(Refused::Failed(_)) => self.try_alone(batch).await,
                    // The others' events again, without those slots.
                    Err(Refused::Fenced(slots)) => {
                        self.fenced(&slots);
                        ranges.push(batch.events);
                    }
                    Err(Refused::Later(why)) => self.pause(&batch, &why),
                    Ok(()) => {}
                },
            }
        }
    }

    /// The events whose slots are still in hand and were not set back in this page.
    fn batch(&self, mut events: Vec<Item>) -> Batch {
        events.retain(|(_, event)| self.lanes.open(slot_of(&event.subject)).is_some());
        let slots: BTreeSet<u16> = events.iter().map(|(_, event)| slot_of(&event.subject)).collect();
        Batch { slots: slots.into_iter().filter_map(|slot| self.lanes.open(slot)).collect(), events }
    }

    async fn apply(&mut self, batch: &Batch) -> Result<(), Refused> {
        let deliveries = Deliveries::begin(self.inbox.group(), batch);
        let outcomes = self.inbox.apply(batch).await?;
        deliveries.done(self.inbox.group(), batch, &outcomes);
        for moved in settle(batch, &outcomes) {
            self.lanes.stored(&moved);
        }
        let mut gaps = BTreeMap::new();
        for (place, outcome) in batch.events.iter().zip(&outcomes) {
            self.count(place, outcome);
            if let Outcome::Gap { seen } = outcome {
                gaps.entry(slot_of(&place.1.subject)).or_insert((place, *seen));
            }
        }
        for (slot, (place, seen)) in gaps {
            self.gap(slot, place, seen).await;
        }
        Ok(())
    }

    fn count(&self, (at, event): &Item, outcome: &Outcome) {
        let counters = &self.counters;
        Counters::add(match outcome {
            Outcome::Done => &counters.applied,
            Outcome::Duplicate => &counters.duplicates,
            Outcome::Skipped => &counters.skipped,
            Outcome::Gap { .. } => &counters.gaps,
            Outcome::Queued => &counters.queued,
        });
        tracing::trace!(
            group = self.inbox.group(), at = %at.position, event = %event.id, kind = event.kind, subject = event.subject,
            correlation = event.traceparent.correlation(), ?outcome, "applied"
        );
    }

    /// One event by itself, its try counted first: also if it ends the process.
    async fn try_alone(&mut self, batch: Batch) {
        let ([place], [held]) = (&batch.events[..], &batch.slots[..]) else { return };
        if let Err(refused) = self.try_counted(&batch, *held, place).await {
            self.set_back(&batch, refused);
        }
        self.lanes.tried_alone(held.slot);
    }

    async fn try_counted(&mut self, batch: &Batch, held: Held, place: &Item) -> Result<(), Refused> {
        let attempts = match self.lanes.uncounted(held.slot, place.0.position) {
            Some(attempts) => attempts,
            None => self.inbox.attempt(&held, place.0.position).await?,
        };
        if attempts > self.options.deaths {
            let why = "the process ended each time it was applied".to_owned();
            return self.park(held, place, why, attempts - 1).await;
        }
        match self.apply(batch).await {
            Err(Refused::Failed(why)) => self.failed_alone(held, place, why, attempts).await,
            other => {
                if self.lanes.get(held.slot).is_some_and(|lane| lane.position < place.0.position) {
                    self.excuse(held, place.0.position, attempts).await;
                }
                other
            }
        }
    }

    /// The event waits, for the database or for one before it: that is no attempt.
    async fn excuse(&mut self, held: Held, at: Position, attempts: u32) {
        if self.inbox.excuse(&held, at).await.is_err() {
            // It stays counted in the database; the next try of this process does not count again.
            self.lanes.owe(held.slot, at, attempts);
        }
    }

    /// Tried again by itself, or parked when that was the last try.
    async fn failed_alone(
        &mut self,
        held: Held,
        place: &Item,
        why: String,
        attempts: u32,
    ) -> Result<(), Refused> {
        tracing::warn!(
            group = self.inbox.group(), event = %place.1.id, kind = place.1.kind, subject = place.1.subject,
            correlation = place.1.traceparent.correlation(), attempts, why, "an event failed"
        );
        spans::failed(self.inbox.group(), &place.1, "failed", attempts);
        if attempts >= self.options.attempts {
            return self.park(held, place, why, attempts).await;
        }
        let wait = self.jitter.draw(self.options.retry, 1, self.options.retry);
        self.lanes.retry_alone(held.slot, Instant::now() + wait);
        Ok(())
    }

    async fn park(&mut self, held: Held, place: &Item, reason: String, tries: u32) -> Result<(), Refused> {
        let (at, event) = place.clone();
        tracing::error!(
            group = self.inbox.group(), event = %event.id, kind = event.kind, subject = event.subject,
            correlation = event.traceparent.correlation(), reason, "parked: replay or drop its dead letter"
        );
        spans::failed(self.inbox.group(), &event, "parked", tries);
        self.inbox.park(&held, &Letter { at, event, reason, attempts: tries }).await?;
        Counters::add(&self.counters.poisoned);
        self.lanes.stored(&held.after(at));
        Ok(())
    }

    fn set_back(&mut self, batch: &Batch, refused: Refused) {
        match refused {
            Refused::Fenced(slots) => self.fenced(&slots),
            Refused::Later(why) | Refused::Failed(why) => self.pause(batch, &why),
        }
    }

    fn fenced(&mut self, slots: &[u16]) {
        tracing::info!(group = self.inbox.group(), ?slots, "others took over");
        self.lanes.lose(slots);
    }

    fn pause(&mut self, batch: &Batch, why: &str) {
        let (base, cap) = self.options.backoff;
        let jitter = &mut self.jitter;
        for held in &batch.slots {
            self.lanes.pause(held.slot, |waits| Instant::now() + jitter.draw(base, waits, cap));
            Counters::add(&self.counters.pauses);
        }
        let correlation = batch.events.first().map(|(_, event)| event.traceparent.correlation());
        let slots: Vec<u16> = batch.slots.iter().map(|held| held.slot).collect();
        tracing::warn!(group = self.inbox.group(), ?slots, correlation, why, "paused");
    }

    /// The slot's first event that misses an earlier one: waits for it, then asks the source.
    async fn gap(&mut self, slot: u16, place: &Item, seen: i64) {
        let tries = self.lanes.gap(slot, place.0.position, Instant::now() + self.options.gap_wait);
        let Some(held) = self.lanes.get(slot).filter(|_| tries > self.options.gap_tries) else { return };
        match self.fill(held, place, seen).await {
            Ok(()) => self.lanes.again(slot, Instant::now()),
            Err(refused) => self.set_back(&Batch { slots: vec![held], events: vec![place.clone()] }, refused),
        }
    }

    /// Applies what the source says came between; what it does not have parks the event.
    async fn fill(&mut self, held: Held, place: &Item, seen: i64) -> Result<(), Refused> {
        let told = self.source.of_subject(&place.1.subject, seen).await;
        let missing = contiguous(told?, seen, place.1.sequence);
        if missing.is_empty() {
            let reason = format!("{} has no event {} of this subject", self.source.name(), seen + 1);
            return self.park(held, place, reason, 0).await;
        }
        let whole = missing.last().is_some_and(|event| event.sequence + 1 == place.1.sequence);
        // The missing ones are applied out of the slot's turn: its position does not move by them.
        let mut events: Vec<Item> = missing.into_iter().map(|event| (held.place(), event)).collect();
        events.extend(whole.then(|| place.clone()));
        let batch = Batch { events, slots: vec![held] };
        let deliveries = Deliveries::begin(self.inbox.group(), &batch);
        match self.inbox.apply(&batch).await {
            Ok(outcomes) if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Gap { .. })) => {
                self.not_filled(held, place, "the consumer still sees a gap".to_owned()).await
            }
            Ok(outcomes) => {
                deliveries.done(self.inbox.group(), &batch, &outcomes);
                settle(&batch, &outcomes).iter().for_each(|moved| self.lanes.stored(moved));
                batch.events.iter().zip(&outcomes).for_each(|(place, outcome)| self.count(place, outcome));
                Ok(())
            }
            Err(Refused::Failed(why)) => self.not_filled(held, place, why).await,
            Err(refused) => Err(refused),
        }
    }

    async fn not_filled(&mut self, held: Held, place: &Item, why: String) -> Result<(), Refused> {
        let attempts = self.inbox.attempt(&held, place.0.position).await?;
        let why = format!("what came before it cannot be applied: {why}");
        self.failed_alone(held, place, why, attempts).await
    }

    async fn checkpoint_when_due(&mut self) {
        if self.checkpointed.elapsed() >= self.options.checkpoint {
            self.checkpoint().await;
        }
    }

    /// Writes where idle slots stand. It saves reading, nothing more: a failure is of no account.
    async fn checkpoint(&mut self) {
        self.checkpointed = Instant::now();
        let batch = Batch { events: Vec::new(), slots: self.lanes.ahead() };
        if batch.slots.is_empty() {
            return;
        }
        match self.inbox.apply(&batch).await {
            Ok(_) => batch.slots.iter().for_each(|held| self.lanes.stored(held)),
            Err(Refused::Fenced(slots)) => self.fenced(&slots),
            Err(error) => tracing::debug!(group = self.inbox.group(), %error, "no checkpoint"),
        }
    }
}

/// When a slot is served while whose next event processes have ended. Drawn anew whenever the slot is taken, and for each group
/// by itself: what was tried at one moment once is not again.
fn rest_of(group: &str, held: &Held, tries: u32, suspicion: Duration) -> Instant {
    let mut jitter = Jitter::new(stable_hash(format!("{group}/{}/{}", held.slot, held.epoch).as_bytes()));
    let half = suspicion / 2 * (1 << (tries - 1).min(4));
    let rest = half + jitter.draw(half, 1, half);
    tracing::warn!(
        group,
        slot = held.slot,
        tries,
        ?rest,
        "a process ended while it tried the next event: it rests"
    );
    Instant::now() + rest
}

/// Ends a page where the next cohort stands.
fn cut(mut page: Page, until: Option<Position>) -> Page {
    if let Some(until) = until.filter(|until| *until < page.end) {
        page.events.retain(|(at, _)| at.position <= until);
        page.end = until;
    }
    page
}

/// Those that follow `seen` without a hole, before `sequence`.
fn contiguous(mut told: Vec<Envelope>, seen: i64, sequence: i64) -> Vec<Envelope> {
    told.sort_by_key(|event| event.sequence);
    told.retain(|event| event.sequence > seen && event.sequence < sequence);
    told.dedup_by_key(|event| event.sequence);
    let next = (seen + 1..).zip(&told).take_while(|(next, event)| *next == event.sequence).count();
    told.truncate(next);
    told
}
