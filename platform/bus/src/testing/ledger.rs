//! The suite's consumer: it writes down what it applied, and fails as it is told to.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{
        LazyLock, Mutex,
        atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use banyan_kernel::{Envelope, Sequenced};
use banyan_store::{
    Locks, Schema, Store, StoreError, Write,
    sqlx::{
        self, SqlSafeStr,
        migrate::{Migration, MigrationType, Migrator},
    },
};
use tokio::sync::watch;

use crate::{Applied, Consumer};

/// The telling module's schema.
pub const TELLER: &str = "teller";
/// The consuming module's schema.
pub const SINK: &str = "sink";

/// A type with an effect.
pub const COUNTED: &str = "Counted";
/// A type that is poison until the ledger is healed.
pub const POISON: &str = "Poison";
/// A type that makes a statement fail until the ledger is healed.
pub const BREAKS: &str = "Breaks";
/// A type whose application never ends until the ledger is healed: what kills a process, as seen from within.
pub const KILLS: &str = "Kills";

const TABLES: &str = "create table effect (n bigint generated always as identity primary key, \
     group_name text not null, subject text not null, sequence bigint not null, call bigint not null); \
     create table seen (group_name text, subject text, sequence bigint not null, primary key (group_name, subject));";
const SEEN: &str = "select subject, sequence from seen where group_name = $1 and subject = any($2)";
const WRITE: &str = "insert into effect (group_name, subject, sequence, call) select $1, subject, sequence, $2 \
     from unnest($3::text[], $4::int8[]) with ordinality as t(subject, sequence, n) order by n";
const SEE: &str = "insert into seen (group_name, subject, sequence) select $1, subject, sequence \
     from unnest($2::text[], $3::int8[]) as t(subject, sequence) \
     on conflict (group_name, subject) do update set sequence = excluded.sequence";
const BREAK: &str = "select 1 / 0";
const EFFECTS: &str = "select subject, sequence, call from effect where group_name = $1 order by n";

static TELLER_TABLES: LazyLock<Migrator> = LazyLock::new(|| Migrator::with_migrations(Vec::new()));
static SINK_TABLES: LazyLock<Migrator> = LazyLock::new(|| {
    let sql = TABLES.into_sql_str();
    Migrator::with_migrations(vec![Migration::new(9_001, "suite".into(), MigrationType::Simple, sql, false)])
});

/// The schemas a harness prepares.
#[must_use]
pub fn schemas() -> Vec<Schema> {
    let teller =
        Schema { name: TELLER, migrations: &TELLER_TABLES, insert_only: &[], reads_statistics: false };
    vec![teller, Schema { name: SINK, migrations: &SINK_TABLES, insert_only: &[], reads_statistics: false }]
}

/// One effect, as it is written down: doubled ones would be there twice.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Effect {
    /// Of which subject.
    pub subject: String,
    /// Of its how manieth event.
    pub sequence: i64,
    /// In which call of the consumer, counted over all of the group's members.
    pub call: i64,
}

/// Which calls stand still.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Gate {
    Open,
    Closed,
    ClosedFor(String),
}

/// The suite's consumer. Every member of the suite's group shares one.
pub struct Ledger {
    store: Store,
    group: &'static str,
    calls: AtomicI64,
    largest_batch_events: AtomicUsize,
    healed: AtomicBool,
    locks_nothing: AtomicBool,
    away: Mutex<BTreeSet<String>>,
    gate: watch::Sender<Gate>,
    waiting: watch::Sender<u64>,
}

impl Ledger {
    /// In the sink's store.
    #[must_use]
    pub fn new(store: Store) -> Self {
        Self {
            store,
            group: "sink.teller",
            calls: AtomicI64::new(0),
            largest_batch_events: AtomicUsize::new(0),
            healed: AtomicBool::new(false),
            locks_nothing: AtomicBool::new(false),
            away: Mutex::default(),
            gate: watch::Sender::new(Gate::Open),
            waiting: watch::Sender::new(0),
        }
    }

    /// From now on nothing fails any more.
    pub fn heal(&self) {
        self.healed.store(true, Ordering::SeqCst);
    }

    /// From now on it locks nothing, as a consumer may that has no aggregate of its own.
    pub fn lock_nothing(&self) {
        self.locks_nothing.store(true, Ordering::SeqCst);
    }

    /// Whether what this subject needs is away.
    pub fn set_away(&self, subject: &str, away: bool) {
        let mut subjects = self.away.lock().expect("no holder panics");
        if away {
            subjects.insert(subject.to_owned())
        } else {
            subjects.remove(subject)
        };
    }

    /// Closed, each call stands still after its effects were written and before it returns.
    pub fn set_gate(&self, open: bool) {
        self.gate.send_replace(if open { Gate::Open } else { Gate::Closed });
    }

    /// Closed for calls about this subject alone.
    pub fn close_gate_for(&self, subject: &str) {
        self.gate.send_replace(Gate::ClosedFor(subject.to_owned()));
    }

    /// Waits until so many calls, counted from the first, have come to stand still.
    ///
    /// # Panics
    /// When they have not after two minutes.
    pub async fn stands(&self, calls: u64) {
        let mut waiting = self.waiting.subscribe();
        let stands = waiting.wait_for(|count| *count >= calls);
        let stands = tokio::time::timeout(super::harness::DEADLINE, stands).await;
        assert!(stands.is_ok(), "waited until {calls} calls stand still");
    }

    /// How many calls have stood still so far.
    pub fn stood(&self) -> u64 {
        *self.waiting.borrow()
    }

    /// The most events that came at once.
    pub fn largest_batch_events(&self) -> usize {
        self.largest_batch_events.load(Ordering::SeqCst)
    }

    fn is_ill(&self) -> bool {
        !self.healed.load(Ordering::SeqCst)
    }

    fn is_away(&self, batch: &[Envelope]) -> bool {
        let away = self.away.lock().expect("no holder panics");
        batch.iter().any(|event| away.contains(&event.subject))
    }

    fn judge(&self, seen: &mut BTreeMap<String, i64>, event: &Envelope) -> Applied {
        if event.kind == POISON && self.is_ill() {
            return Applied::Poison("it is poison".to_owned());
        }
        let last = seen.entry(event.subject.clone()).or_insert(0);
        match Sequenced::judge(*last, event.sequence) {
            Sequenced::Duplicate => Applied::Duplicate,
            Sequenced::Gap => Applied::Gap { seen: *last },
            Sequenced::Next => {
                *last = event.sequence;
                let known = [COUNTED, POISON, BREAKS, KILLS].contains(&event.kind.as_str());
                if known { Applied::Done } else { Applied::Skipped }
            }
        }
    }

    async fn stand_still(&self, batch: &[Envelope]) {
        let stands = |gate: &Gate| match gate {
            Gate::Open => false,
            Gate::Closed => true,
            Gate::ClosedFor(subject) => batch.iter().any(|event| event.subject == *subject),
        };
        let mut gate = self.gate.subscribe();
        if stands(&gate.borrow_and_update()) {
            self.waiting.send_modify(|count| *count += 1);
            let _ = gate.wait_for(|gate| !stands(gate)).await;
        }
    }
}

/// What a group's ledger says, in the order it was written.
///
/// # Panics
/// When the sink cannot be read.
pub async fn effects(ledger: &Ledger) -> Vec<Effect> {
    let query = sqlx::query_as(EFFECTS).bind(ledger.group).fetch_all(ledger.store.pool()).await;
    let rows: Vec<(String, i64, i64)> = query.expect("the sink can be read");
    rows.into_iter().map(|(subject, sequence, call)| Effect { subject, sequence, call }).collect()
}

#[async_trait]
impl Consumer for Ledger {
    fn group(&self) -> &'static str {
        self.group
    }

    fn source(&self) -> &'static str {
        TELLER
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn locks(&self, batch: &[Envelope]) -> Locks {
        let locks = Locks::none();
        if self.locks_nothing.load(Ordering::SeqCst) {
            return locks;
        }
        locks.and("subject", batch.iter().map(|event| &event.subject))
    }

    async fn apply(&self, write: &mut Write, batch: &[Envelope]) -> Result<Vec<Applied>, StoreError> {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        self.largest_batch_events.fetch_max(batch.len(), Ordering::SeqCst);
        if self.is_away(batch) {
            return Err(StoreError::Unavailable("it is away".to_owned()));
        }
        if self.is_ill() && batch.iter().any(|event| event.kind == BREAKS) {
            sqlx::query(BREAK).execute(write.connection()).await?;
        }
        let subjects: BTreeSet<&str> = batch.iter().map(|event| event.subject.as_str()).collect();
        let subjects: Vec<&str> = subjects.into_iter().collect();
        let seen = sqlx::query_as(SEEN).bind(self.group).bind(subjects);
        let seen: Vec<(String, i64)> = seen.fetch_all(write.connection()).await?;
        let mut seen: BTreeMap<String, i64> = seen.into_iter().collect();
        let answers: Vec<Applied> = batch.iter().map(|event| self.judge(&mut seen, event)).collect();
        let moved = |answer: &Applied| matches!(answer, Applied::Done | Applied::Skipped);
        let last: HashMap<&str, i64> = pairs(batch, &answers, moved).collect();
        let (subjects, sequences): (Vec<&str>, Vec<i64>) =
            pairs(batch, &answers, |answer| *answer == Applied::Done).unzip();
        let effects = sqlx::query(WRITE).bind(self.group).bind(call).bind(subjects).bind(sequences);
        effects.execute(write.connection()).await?;
        let (subjects, sequences): (Vec<&str>, Vec<i64>) = last.into_iter().unzip();
        let see = sqlx::query(SEE).bind(self.group).bind(subjects).bind(sequences);
        see.execute(write.connection()).await?;
        if self.is_ill() && batch.iter().any(|event| event.kind == KILLS) {
            self.waiting.send_modify(|count| *count += 1);
            std::future::pending::<()>().await;
        }
        self.stand_still(batch).await;
        Ok(answers)
    }
}

fn pairs<'a>(
    batch: &'a [Envelope],
    answers: &'a [Applied],
    which: impl Fn(&Applied) -> bool + 'a,
) -> impl Iterator<Item = (&'a str, i64)> + 'a {
    let both = batch.iter().zip(answers).filter(move |(_, answer)| which(answer));
    both.map(|(event, _)| (event.subject.as_str(), event.sequence))
}
