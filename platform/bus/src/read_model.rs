//! Read models: views folded from a source's events, which can be folded again while they are read.
//!
//! A model has room for two copies. One is live: it is read, and its group's consumer feeds it. [`Rebuild`] folds the
//! other from the first event on, judges it at one stated position against a fold that shares no code with the
//! consumer, applies what came since, and turns the two over in one transaction with the group's positions. Until
//! then nobody sees the new one; a difference leaves everything as it was.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use banyan_kernel::{Envelope, SLOTS, Timestamp};
use banyan_store::{Locks, Position, Store, StoreError, Write, sqlx};
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Applied, Consumer, Decision, Source};

/// Events folded in one commit.
const PAGE_EVENTS: u16 = 1_000;
/// So many events may be missing from the new copy when the two are turned over: they are applied while the group stands still.
const SWAP_EVENTS: u16 = 500;
/// Rows of an old copy deleted in one commit.
const CLEAR_ROWS: u16 = 5_000;
/// Differences that are named; all are counted.
const NAMED_MAX: usize = 20;
/// A step that the database could not do is tried so often, with this between.
const TRIES: u32 = 20;
const AGAIN: Duration = Duration::from_millis(250);

const LIVE: &str = "select live from read_model where name = $1";
/// Fences the rebuild before this one.
const BEGIN: &str = "update read_model set build = build + 1, built_epoch = 0, built_xid = '0', built_seq = 0 \
     where name = $1 returning build, live";
/// Held until the commit: nobody begins another rebuild between the look and the write.
const STILL_MINE: &str = "select live, built_epoch, built_xid::text::int8, built_seq from read_model \
     where name = $1 and build = $2 for update";
const STANDS: &str = "update read_model set built_epoch = $3, built_xid = $4::text::xid8, built_seq = $5 \
     where name = $1 and build = $2";
/// Whoever feeds the live copy waits for its slots from here on.
const STAND_STILL: &str = "select source_epoch, source_xid::text::int8, source_seq from slot where group_name = $1 \
     order by slot for update";
const TURN_OVER: &str = "update read_model set live = $3 where name = $1 and build = $2 returning live";
/// And is fenced: its slots are taken anew.
const GO_ON: &str = "insert into slot as s (group_name, slot, source_epoch, source_xid, source_seq) \
     select $1, n, $3, $4::text::xid8, $5 from generate_series(0, $2::int - 1) n \
     on conflict (group_name, slot) do update set epoch = s.epoch + 1, holder = null, attempts = 0, \
     source_epoch = excluded.source_epoch, source_xid = excluded.source_xid, source_seq = excluded.source_seq";
/// What could not be applied to the old copy is in the new one.
const SETTLE_LETTERS: &str = "with gone as (delete from dead_letter where group_name = $1 returning key, place, envelope) \
     insert into dead_letter_decision (group_name, key, place, event, decision, actor, reason, decided_at) \
     select $1, key, place, (envelope->>'id')::uuid, 'replayed', $2, $3, $4 from gone";

/// One of the two copies of a read model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CopyOf(i16);

impl CopyOf {
    /// Its number, as rows have it.
    #[must_use]
    pub fn number(self) -> i16 {
        self.0
    }

    fn other(self) -> Self {
        Self(1 - self.0)
    }
}

/// A view folded from one source's events, in two copies of its rows.
#[async_trait]
pub trait ReadModel: Send + Sync + 'static {
    /// Its name, and its group's: `MODULE.VIEW`. A row of `read_model`, made by the module's migration.
    fn name(&self) -> &'static str;
    /// Whose events.
    fn source(&self) -> &'static str;
    /// Where its rows are.
    fn store(&self) -> &Store;
    /// As [`Consumer::locks`].
    fn locks(&self, batch: &[Envelope]) -> Locks;
    /// As [`Consumer::apply`], to one copy. Each event comes once to a copy: where it stands commits with what is applied.
    ///
    /// # Errors
    /// Of the database.
    async fn apply(
        &self,
        write: &mut Write,
        copy: CopyOf,
        batch: &[Envelope],
    ) -> Result<Vec<Applied>, StoreError>;
    /// Deletes at most `limit` rows of each table of a copy; how many in all.
    ///
    /// # Errors
    /// Of the database.
    async fn clear(&self, write: &mut Write, copy: CopyOf, limit: u16) -> Result<u64, StoreError>;
    /// Compares the next keys after `after` (at first empty) of a copy that stands at `at` with a fold of the source's
    /// events up to there that shares no code with [`Self::apply`].
    ///
    /// # Errors
    /// Of the database.
    async fn judge(&self, copy: CopyOf, at: Position, after: &str) -> Result<Judged, StoreError>;
}

/// A part of a judgement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Judged {
    /// Where the next part begins; none after the last.
    pub next: Option<String>,
    /// Keys compared.
    pub keys: u64,
    /// Those that differ, each with how.
    pub differences: Vec<String>,
}

/// The group that feeds a model's live copy.
pub struct Feed(Arc<dyn ReadModel>);

impl Feed {
    /// Of this model.
    #[must_use]
    pub fn new(model: Arc<dyn ReadModel>) -> Self {
        Self(model)
    }
}

#[async_trait]
impl Consumer for Feed {
    fn group(&self) -> &'static str {
        self.0.name()
    }

    fn source(&self) -> &'static str {
        self.0.source()
    }

    fn store(&self) -> &Store {
        self.0.store()
    }

    fn locks(&self, batch: &[Envelope]) -> Locks {
        self.0.locks(batch)
    }

    /// Which copy is live is read here; if the two are turned over before this commits, its slots are fenced.
    async fn apply(&self, write: &mut Write, batch: &[Envelope]) -> Result<Vec<Applied>, StoreError> {
        let live = sqlx::query_scalar(LIVE).bind(self.0.name()).fetch_one(write.connection()).await?;
        self.0.apply(write, CopyOf(live), batch).await
    }
}

/// What a rebuild is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Emptying the copy that is not read.
    Clear,
    /// Folding it from the first event.
    Fold,
    /// Comparing it with the independent fold.
    Judge,
    /// Applying what came meanwhile.
    CatchUp,
    /// Turning the two over.
    Swap,
    /// Emptying the one that was read before.
    Clean,
}

/// How far a rebuild is.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Progress {
    /// At what.
    pub phase: Phase,
    /// Events folded since it began.
    pub events: u64,
    /// Keys judged.
    pub keys: u64,
    /// Where the new copy stands.
    #[serde(serialize_with = "as_text::serialize")]
    pub at: Position,
    /// Where the source ended when it was last looked at.
    #[serde(serialize_with = "as_text::serialize")]
    pub end: Position,
}

/// A read model that was turned over.
#[derive(Clone, Debug, Serialize)]
pub struct Rebuilt {
    /// Events folded.
    pub events: u64,
    /// Keys that were equal to the independent fold.
    pub keys: u64,
    /// The position at which they were.
    #[serde(serialize_with = "as_text::serialize")]
    pub judged_at: Position,
    /// Where the copy stood when it was turned over.
    #[serde(serialize_with = "as_text::serialize")]
    pub live_from: Position,
    /// Dead letters of the group that are in the new copy, and gone.
    pub letters: u64,
}

/// A position on its way to people and between processes.
mod as_text {
    use banyan_store::Position;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(position: &Position, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(position)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Position, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}

/// Why a read model stays as it is.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// An event cannot be applied: a defect of the model, or of the event.
    #[error("event {sequence} of {subject} cannot be applied: {why}")]
    Event {
        /// Whose.
        subject: String,
        /// Which.
        sequence: i64,
        /// Why.
        why: String,
    },
    /// The new copy is not what the events say.
    #[error("at {at} {count} of {keys} keys differ from the events: {}", named.join("; "))]
    Differs {
        /// At this position.
        at: Position,
        /// Keys compared.
        keys: u64,
        /// Keys that differ.
        count: u64,
        /// The first of them, each with how.
        named: Vec<String>,
    },
    /// Another rebuild of this model began; the last one counts.
    #[error("another rebuild of it has begun")]
    TakenOver,
    /// Nobody waits for it any more.
    #[error("nobody waits for it any more")]
    Abandoned,
    /// Whoever was asked for a step refused it.
    #[error("{0}")]
    Refused(String),
    /// The database cannot do it now.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl RebuildError {
    /// Whether the same step may succeed later.
    #[must_use]
    pub fn passes(&self) -> bool {
        matches!(self, Self::Store(error) if error.is_transient())
    }
}

/// One model's rebuild.
pub struct Rebuild {
    model: Arc<dyn ReadModel>,
    source: Arc<dyn Source>,
}

/// A rebuild under way: all that is known between two steps. Whoever wants it done holds it and asks for the next step, of any process of
/// the model's module; a step that was done and not heard of is noticed by the next one.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Building {
    /// Of which model.
    model: String,
    phase: Phase,
    build: i64,
    copy: CopyOf,
    #[serde(with = "as_text")]
    #[schema(value_type = String)]
    at: Position,
    #[serde(with = "as_text")]
    #[schema(value_type = String)]
    end: Position,
    #[serde(with = "as_text")]
    #[schema(value_type = String)]
    judged_at: Position,
    /// Where the judgement goes on.
    after: String,
    events: u64,
    keys: u64,
    count: u64,
    named: Vec<String>,
    letters: u64,
    #[serde(with = "as_text")]
    #[schema(value_type = String)]
    live_from: Position,
    is_over: bool,
}

/// Whoever does a rebuild's steps: here, or elsewhere.
#[async_trait]
pub trait Rebuilding: Send + Sync {
    /// Begins one; another that is under way is fenced.
    ///
    /// # Errors
    /// When it cannot.
    async fn begin(&self) -> Result<Building, RebuildError>;
    /// The next step, which a repeat does not do twice.
    ///
    /// # Errors
    /// As said at each; the live copy is as it was.
    async fn step(&self, building: Building, by: &Decision) -> Result<Building, RebuildError>;
}

/// Rebuilds a model, by somebody and for a reason. After each step `tell` is told; when it says that nobody listens, the rebuild ends.
///
/// # Errors
/// As said at each; the live copy is as it was.
pub async fn rebuild<'a>(
    steps: &dyn Rebuilding,
    by: &Decision,
    tell: &(dyn Fn(Progress) -> BoxFuture<'a, bool> + Sync),
) -> Result<Rebuilt, RebuildError> {
    let mut building = steps.begin().await?;
    let mut tries = 0;
    loop {
        match steps.step(building.clone(), by).await {
            Ok(next) if next.is_over => return Ok(next.rebuilt()),
            Ok(next) => (building, tries) = (next, 0),
            Err(error) if error.passes() && tries < TRIES => {
                tries += 1;
                tracing::info!(model = building.model, %error, "a step of a rebuild is tried again");
                tokio::time::sleep(AGAIN).await;
            }
            Err(error) => return Err(error),
        }
        if !tell(building.progress()).await {
            return Err(RebuildError::Abandoned);
        }
    }
}

impl Rebuild {
    /// Of this model, from this source.
    #[must_use]
    pub fn new(model: Arc<dyn ReadModel>, source: Arc<dyn Source>) -> Self {
        Self { model, source }
    }

    /// One step; true after the last.
    async fn do_step(&self, work: &mut Building, by: &Decision) -> Result<bool, RebuildError> {
        match work.phase {
            Phase::Clear => {
                if self.clear(work, work.copy).await? == 0 {
                    work.phase = Phase::Fold;
                }
            }
            Phase::Fold => {
                if self.fold(work).await? {
                    (work.phase, work.judged_at) = (Phase::Judge, work.at);
                }
            }
            Phase::Judge => self.judge(work).await?,
            Phase::CatchUp => {
                if self.fold(work).await? {
                    work.phase = Phase::Swap;
                }
            }
            Phase::Swap => {
                work.phase = if self.swap(work, by).await? { Phase::Clean } else { Phase::CatchUp }
            }
            Phase::Clean => return Ok(self.clear(work, work.copy.other()).await? == 0),
        }
        Ok(false)
    }

    /// A write, as long as this is the last rebuild that began; with it, which copy is read, and where the other stands.
    async fn begin(&self, build: i64, locks: &Locks) -> Result<(Write, CopyOf, Position), RebuildError> {
        let mut write = self.model.store().begin(locks).await?;
        let mine: Option<(i16, i64, i64, i64)> = sqlx::query_as(STILL_MINE)
            .bind(self.model.name())
            .bind(build)
            .fetch_optional(write.connection())
            .await
            .map_err(StoreError::from)?;
        let (live, epoch, xid, seq) = mine.ok_or(RebuildError::TakenOver)?;
        Ok((write, CopyOf(live), Position { epoch, xid, seq }))
    }

    async fn stands(&self, write: &mut Write, build: i64, at: Position) -> Result<(), RebuildError> {
        sqlx::query(STANDS)
            .bind(self.model.name())
            .bind(build)
            .bind(at.epoch)
            .bind(at.xid.to_string())
            .bind(at.seq)
            .execute(write.connection())
            .await
            .map_err(StoreError::from)?;
        Ok(())
    }

    async fn clear(&self, work: &Building, copy: CopyOf) -> Result<u64, RebuildError> {
        let (mut write, ..) = self.begin(work.build, &Locks::none()).await?;
        let gone = self.model.clear(&mut write, copy, CLEAR_ROWS).await?;
        write.commit().await?;
        Ok(gone)
    }

    /// Folds a page into the copy; true when it was the last there is.
    async fn fold(&self, work: &mut Building) -> Result<bool, RebuildError> {
        let page = self.source.page(work.at, &every_slot(), PAGE_EVENTS).await?;
        let is_last = page.events.len() < usize::from(PAGE_EVENTS);
        let events: Vec<Envelope> = page.events.into_iter().map(|(_, event)| event).collect();
        let (mut write, _, stood) = self.begin(work.build, &self.model.locks(&events)).await?;
        if stood != work.at {
            // A commit was made that was not heard of: it goes on from there.
            write.abandon().await;
            work.at = stood;
            return Ok(false);
        }
        self.apply(&mut write, work.copy, &events).await?;
        self.stands(&mut write, work.build, page.end).await?;
        write.commit().await?;
        work.end = self.source.end().await?.max(page.end);
        work.at = page.end;
        work.events += events.len() as u64;
        Ok(is_last)
    }

    /// As the group would, with no dead letter: what cannot be applied ends the rebuild.
    async fn apply(&self, write: &mut Write, copy: CopyOf, events: &[Envelope]) -> Result<(), RebuildError> {
        if events.is_empty() {
            return Ok(());
        }
        let applied = self.model.apply(write, copy, events).await?;
        debug_assert_eq!(applied.len(), events.len());
        let refused = events.iter().zip(applied).find_map(|(event, applied)| match applied {
            Applied::Poison(why) => Some((event, why)),
            Applied::Gap { seen } => Some((event, format!("event {} of it has not come", seen + 1))),
            Applied::Done | Applied::Duplicate | Applied::Skipped => None,
        });
        refused.map_or(Ok(()), |(event, why)| {
            Err(RebuildError::Event { subject: event.subject.clone(), sequence: event.sequence, why })
        })
    }

    async fn judge(&self, work: &mut Building) -> Result<(), RebuildError> {
        let judged = self.model.judge(work.copy, work.judged_at, &work.after).await?;
        work.keys += judged.keys;
        work.count += judged.differences.len() as u64;
        let room = NAMED_MAX - work.named.len();
        work.named.extend(judged.differences.into_iter().take(room));
        match judged.next {
            Some(next) => work.after = next,
            None if work.count == 0 => work.phase = Phase::CatchUp,
            None => {
                return Err(RebuildError::Differs {
                    at: work.judged_at,
                    keys: work.keys,
                    count: work.count,
                    named: std::mem::take(&mut work.named),
                });
            }
        }
        Ok(())
    }

    /// Stops the group, applies what is missing, turns the copies over and lets the group go on from there: all of it or
    /// nothing. False when too much is missing.
    async fn swap(&self, work: &mut Building, by: &Decision) -> Result<bool, RebuildError> {
        let (model, name) = (&*self.model, self.model.name());
        let (mut write, live, at) = self.begin(work.build, &Locks::none()).await?;
        if live == work.copy || at != work.at {
            // A commit was made that was not heard of: of the turn itself, or of a page before it.
            write.abandon().await;
            (work.at, work.live_from) = (at, at);
            return Ok(live == work.copy);
        }
        let stood: Vec<(i64, i64, i64)> = sqlx::query_as(STAND_STILL)
            .bind(name)
            .fetch_all(write.connection())
            .await
            .map_err(StoreError::from)?;
        let page = self.source.page(work.at, &every_slot(), SWAP_EVENTS).await?;
        let reached = stood.into_iter().map(|(epoch, xid, seq)| Position { epoch, xid, seq }).max();
        if page.events.len() == usize::from(SWAP_EVENTS) || reached.is_some_and(|reached| page.end < reached)
        {
            write.abandon().await;
            return Ok(false);
        }
        let events: Vec<Envelope> = page.events.into_iter().map(|(_, event)| event).collect();
        self.apply(&mut write, work.copy, &events).await?;
        let turned: Option<i16> = sqlx::query_scalar(TURN_OVER)
            .bind(name)
            .bind(work.build)
            .bind(work.copy.number())
            .fetch_optional(write.connection())
            .await
            .map_err(StoreError::from)?;
        turned.ok_or(RebuildError::TakenOver)?;
        self.stands(&mut write, work.build, page.end).await?;
        let letters = go_on(&mut write, name, page.end, by, model.store().clock().now()).await?;
        write.commit().await?;
        work.events += events.len() as u64;
        (work.letters, work.at, work.live_from) = (letters, page.end, page.end);
        Ok(true)
    }
}

#[async_trait]
impl Rebuilding for Rebuild {
    async fn begin(&self) -> Result<Building, RebuildError> {
        let (build, live): (i64, i16) = sqlx::query_as(BEGIN)
            .bind(self.model.name())
            .fetch_one(self.model.store().pool())
            .await
            .map_err(StoreError::from)?;
        Ok(Building::new(self.model.name(), build, CopyOf(live).other()))
    }

    async fn step(&self, mut building: Building, by: &Decision) -> Result<Building, RebuildError> {
        building.is_over = self.do_step(&mut building, by).await?;
        Ok(building)
    }
}

/// The group goes on from `at`, without the dead letters of the copy before; how many they were.
async fn go_on(
    write: &mut Write,
    name: &str,
    at: Position,
    by: &Decision,
    now: Timestamp,
) -> Result<u64, StoreError> {
    sqlx::query(GO_ON)
        .bind(name)
        .bind(i32::from(SLOTS))
        .bind(at.epoch)
        .bind(at.xid.to_string())
        .bind(at.seq)
        .execute(write.connection())
        .await?;
    let settled = sqlx::query(SETTLE_LETTERS)
        .bind(name)
        .bind(&by.who)
        .bind(&by.why)
        .bind(now)
        .execute(write.connection())
        .await?;
    Ok(settled.rows_affected())
}

fn every_slot() -> Vec<u16> {
    (0..SLOTS).collect()
}

impl Building {
    fn new(model: &str, build: i64, copy: CopyOf) -> Self {
        Self {
            model: model.to_owned(),
            phase: Phase::Clear,
            build,
            copy,
            at: Position::START,
            end: Position::START,
            judged_at: Position::START,
            after: String::new(),
            events: 0,
            keys: 0,
            count: 0,
            named: Vec::new(),
            letters: 0,
            live_from: Position::START,
            is_over: false,
        }
    }

    /// Of which model.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.model
    }

    fn progress(&self) -> Progress {
        let Self { phase, events, keys, at, end, .. } = *self;
        Progress { phase, events, keys, at, end }
    }

    fn rebuilt(self) -> Rebuilt {
        let Self { events, keys, judged_at, live_from, letters, .. } = self;
        Rebuilt { events, keys, judged_at, live_from, letters }
    }
}
