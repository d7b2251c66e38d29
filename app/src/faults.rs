//! Faults between the saga and inventory, for a shop started with `--allow-faults`: in one process no
//! network loses an answer, so this does. What is hit is a function of (seed, order, step, attempt) alone.
//! The outside's own faults are the sandbox's.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    io::Write,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use banyan_kernel::{Answer, Command, Context, OrderId, Sku, stable_hash};
use inventory_api::{
    ConfirmReservation, Inventory, ReceiveStock, ReleaseStock, ReservationConfirmed, ReserveStock,
    StockLevel, StockReceived, StockReleased, StockReserved,
};
use serde::{Deserialize, Serialize};

/// Of ten thousand first questions at a step, how many meet each fault.
const PER_TEN_THOUSAND: u64 = 60;
/// How long a late question is held back.
const LATE: Duration = Duration::from_millis(400);

/// What happens to one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// It is done, and the answer is lost.
    TimedOut,
    /// It arrives after the asker has given up.
    Late,
    /// It arrives twice.
    Twice,
}

/// One that happened.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Happened {
    /// To which order.
    pub order: OrderId,
    /// At which step.
    pub step: String,
    /// At which attempt.
    pub attempt: u32,
    /// What.
    pub fault: Fault,
}

/// What happened so far; kept in a file, so that a restart neither forgets nor repeats.
pub struct FaultBook {
    path: PathBuf,
    seed: u64,
    seen: Mutex<Vec<Happened>>,
    hit: Mutex<HashSet<String>>,
}

impl FaultBook {
    /// Reads the file of what happened before; a torn last line is left out.
    #[must_use]
    pub fn open(path: PathBuf, seed: u64) -> Arc<Self> {
        let text = fs::read_to_string(&path).unwrap_or_default();
        let seen: Vec<Happened> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let hit = seen.iter().map(|h| format!("{}/{}/{}", h.order, h.step, h.attempt)).collect();
        Arc::new(Self { path, seed, seen: Mutex::new(seen), hit: Mutex::new(hit) })
    }

    /// What happened, by step and fault.
    #[must_use]
    pub fn happened(&self) -> BTreeMap<(String, Fault), Vec<OrderId>> {
        let mut cells: BTreeMap<(String, Fault), Vec<OrderId>> = BTreeMap::new();
        for Happened { order, step, fault, .. } in
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter()
        {
            cells.entry((step.clone(), *fault)).or_default().push(*order);
        }
        cells
    }

    /// What happens to this question; only the first time it is asked.
    fn strike<T>(&self, command: &Command<T>) -> Option<Fault> {
        let fault = plan(self.seed, &command.id.to_string())?;
        let first = self.hit.lock().unwrap_or_else(PoisonError::into_inner).insert(command.id.to_string());
        if !first {
            return None;
        }
        let id = command.id.clone();
        self.note(Happened { order: id.order, step: id.step, attempt: id.attempt, fault });
        Some(fault)
    }

    fn note(&self, happened: Happened) {
        let line = serde_json::to_string(&happened).unwrap_or_default();
        let file = fs::OpenOptions::new().create(true).append(true).open(&self.path);
        if let Err(error) = file.and_then(|mut file| writeln!(file, "{line}")) {
            tracing::warn!(%error, "a fault was not noted; the report will miss it after a restart");
        }
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(happened);
    }
}

/// Pure: the same question meets the same fault in every run, whoever comes before it.
fn plan(seed: u64, id: &str) -> Option<Fault> {
    match stable_hash(format!("{seed}/{id}").as_bytes()) % 10_000 / PER_TEN_THOUSAND {
        0 => Some(Fault::TimedOut),
        1 => Some(Fault::Late),
        2 => Some(Fault::Twice),
        _ => None,
    }
}

/// Inventory behind a bad line.
pub struct FaultyInventory {
    inner: Arc<dyn Inventory>,
    book: Arc<FaultBook>,
}

impl FaultyInventory {
    /// `inner`, as `book` has it.
    #[must_use]
    pub fn new(inner: Arc<dyn Inventory>, book: Arc<FaultBook>) -> Self {
        Self { inner, book }
    }
}

/// Sorts a batch by its faults, asks what is to be asked, and puts the answers back in order.
macro_rules! through_a_bad_line {
    ($self:ident, $batch:ident, $ask:ident) => {{
        let strikes: Vec<Option<Fault>> = $batch.iter().map(|command| $self.book.strike(command)).collect();
        let (late, now): (Vec<_>, Vec<_>) = $batch
            .into_iter()
            .zip(strikes.iter().copied())
            .partition(|(_, fault)| *fault == Some(Fault::Late));
        if !late.is_empty() {
            let inner = $self.inner.clone();
            tokio::spawn(async move {
                tokio::time::sleep(LATE).await;
                inner.$ask(late.into_iter().map(|(command, _)| command).collect()).await;
            });
        }
        let twice: Vec<_> = now
            .iter()
            .filter(|(_, fault)| *fault == Some(Fault::Twice))
            .map(|(command, _)| command.clone())
            .collect();
        if !twice.is_empty() {
            $self.inner.$ask(twice).await;
        }
        let mut answers = if now.is_empty() {
            Vec::new().into_iter()
        } else {
            $self.inner.$ask(now.into_iter().map(|(command, _)| command).collect()).await.into_iter()
        };
        let mut next =
            || answers.next().unwrap_or_else(|| Answer::Broken("inventory answered for too few".to_owned()));
        let lost = || Answer::Unavailable("no answer came in time".to_owned());
        strikes
            .into_iter()
            .map(|fault| match fault {
                Some(Fault::Late) => lost(),
                Some(Fault::TimedOut) => {
                    drop(next());
                    lost()
                }
                Some(Fault::Twice) | None => next(),
            })
            .collect()
    }};
}

#[async_trait]
impl Inventory for FaultyInventory {
    async fn reserve(&self, batch: Vec<Command<ReserveStock>>) -> Vec<Answer<StockReserved>> {
        through_a_bad_line!(self, batch, reserve)
    }

    async fn confirm(&self, batch: Vec<Command<ConfirmReservation>>) -> Vec<Answer<ReservationConfirmed>> {
        through_a_bad_line!(self, batch, confirm)
    }

    async fn release(&self, batch: Vec<Command<ReleaseStock>>) -> Vec<Answer<StockReleased>> {
        self.inner.release(batch).await
    }

    async fn receive(&self, context: Context, batch: Vec<ReceiveStock>) -> Vec<Answer<StockReceived>> {
        self.inner.receive(context, batch).await
    }

    async fn levels(&self, skus: Vec<Sku>) -> Answer<Vec<StockLevel>> {
        self.inner.levels(skus).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plan_hits_every_fault_about_evenly_and_is_the_same_each_time() {
        let mut counts = BTreeMap::new();
        for n in 0..20_000_u128 {
            let id = format!("{}/reserve/1", uuid::Uuid::from_u128(n));
            assert_eq!(plan(7, &id), plan(7, &id));
            *counts.entry(plan(7, &id)).or_insert(0) += 1;
        }
        for fault in [Fault::TimedOut, Fault::Late, Fault::Twice] {
            assert!((80..160).contains(&counts[&Some(fault)]), "{counts:?}");
        }
    }
}
