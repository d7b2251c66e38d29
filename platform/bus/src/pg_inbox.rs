//! A consumer's effects, positions, attempts and dead letters in its module's PostgreSQL.

use std::{collections::BTreeSet, panic::AssertUnwindSafe, sync::Arc};

use async_trait::async_trait;
use banyan_kernel::Envelope;
use banyan_store::{
    Held, Locks, Place, Position, StoreError, Write,
    sqlx::{self, types::Json},
};
use futures::FutureExt;

use crate::{Applied, Batch, Consumer, Inbox, Letter, Outcome, Refused, settle};

/// The last letter of each parked key, locked: a replay that is about to take it is waited for.
const PARKED: &str = "select k.key from unnest($2::text[]) as k(key), lateral (select from dead_letter d \
     where d.group_name = $1 and d.key = k.key order by d.place desc limit 1 for key share) as last";
/// Read again after a gap, an event is in its queue already.
const PARK: &str = "insert into dead_letter (group_name, key, source_epoch, source_xid, source_seq, envelope, \
     reason, attempts, parked_at) \
     select $1, key, epoch, xid::xid8, seq, envelope, reason, attempts, $2 \
     from unnest($3::text[], $4::int8[], $5::text[], $6::int8[], $7::jsonb[], $8::text[], $9::int4[]) \
     with ordinality as t(key, epoch, xid, seq, envelope, reason, attempts, n) order by n \
     on conflict do nothing";
/// Fewer rows than slots: the others have another owner.
const MOVE: &str = "update slot s set source_epoch = t.source_epoch, source_xid = t.xid::xid8, source_seq = t.seq, \
     carrier_cluster = t.cluster, carrier_partitions = t.partitions, carrier_offset = t.next_offset \
     from unnest($2::int2[], $3::int8[], $4::int8[], $5::text[], $6::int8[], $7::text[], $8::int4[], $9::int8[]) \
     as t(slot, epoch, source_epoch, xid, seq, cluster, partitions, next_offset) \
     where s.group_name = $1 and s.slot = t.slot and s.epoch = t.epoch returning s.slot";
const ATTEMPT: &str = "update slot set attempts = case when (attempted_epoch, attempted_xid, attempted_seq) \
     = ($4, $5::text::xid8, $6) then attempts + 1 else 1 end, \
     attempted_epoch = $4, attempted_xid = $5::text::xid8, attempted_seq = $6 \
     where group_name = $1 and slot = $2 and epoch = $3 returning attempts";
const EXCUSE: &str = "update slot set attempts = attempts - 1 where group_name = $1 and slot = $2 and epoch = $3 \
     and (attempted_epoch, attempted_xid, attempted_seq) = ($4, $5::text::xid8, $6) and attempts > 0 \
     returning attempts";

/// The [`Inbox`] of a [`Consumer`].
pub struct PgInbox {
    consumer: Arc<dyn Consumer>,
}

impl PgInbox {
    /// Of this consumer, in its own store.
    #[must_use]
    pub fn new(consumer: Arc<dyn Consumer>) -> Self {
        Self { consumer }
    }

    async fn effects(&self, write: &mut Write, batch: &Batch) -> Result<Vec<Outcome>, Refused> {
        let parked = self.parked(write, batch).await?;
        let is_free = |event: &Envelope| !parked.contains(&event.subject);
        let free: Vec<Envelope> =
            batch.events.iter().map(|(_, event)| event).filter(|event| is_free(event)).cloned().collect();
        let mut applied = apply(&*self.consumer, write, &free).await?.into_iter();
        let outcomes = batch.events.iter().map(|(_, event)| {
            let answer = if is_free(event) { applied.next() } else { return Ok(Outcome::Queued) };
            answer.map_or_else(|| Err(Refused::Failed("an event got no answer".to_owned())), outcome)
        });
        let outcomes = outcomes.collect::<Result<Vec<_>, _>>()?;
        let queued = batch.events.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == Outcome::Queued);
        let queued: Vec<Row<'_>> = queued.map(|((at, event), _)| Row::behind(at, event)).collect();
        self.insert(write, &queued).await?;
        Ok(outcomes)
    }

    async fn parked(&self, write: &mut Write, batch: &Batch) -> Result<BTreeSet<String>, StoreError> {
        let keys: BTreeSet<&str> = batch.events.iter().map(|(_, event)| event.subject.as_str()).collect();
        let keys: Vec<&str> = keys.into_iter().collect();
        let parked: Vec<String> =
            sqlx::query_scalar(PARKED).bind(self.group()).bind(keys).fetch_all(write.connection()).await?;
        Ok(parked.into_iter().collect())
    }

    async fn insert(&self, write: &mut Write, rows: &[Row<'_>]) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        sqlx::query(PARK)
            .bind(self.group())
            .bind(self.consumer.store().clock().now())
            .bind(rows.iter().map(|row| row.event.subject.as_str()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.at.epoch).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.at.xid.to_string()).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.at.seq).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| Json(row.event)).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.reason).collect::<Vec<_>>())
            .bind(rows.iter().map(|row| row.attempts).collect::<Vec<_>>())
            .execute(write.connection())
            .await?;
        Ok(())
    }

    /// Counts up or down in a transaction of its own.
    async fn tries(
        &self,
        statement: &'static str,
        held: &Held,
        at: Position,
    ) -> Result<Option<i32>, Refused> {
        let mut write = self.consumer.store().begin(&Locks::none()).await?;
        let attempts: Option<i32> = sqlx::query_scalar(statement)
            .bind(self.group())
            .bind(held.slot as i16)
            .bind(held.epoch)
            .bind(at.epoch)
            .bind(at.xid.to_string())
            .bind(at.seq)
            .fetch_optional(write.connection())
            .await
            .map_err(StoreError::from)?;
        write.commit().await?;
        Ok(attempts)
    }

    async fn advance(&self, write: &mut Write, slots: &[Held]) -> Result<(), Refused> {
        move_slots(write, self.group(), slots).await
    }
}

/// Writes where a group's slots stand, position and carrier's place together, each under its epoch.
///
/// # Errors
/// `Fenced` when another holds one of them: then the write is to be given up.
pub async fn move_slots(write: &mut Write, group: &str, slots: &[Held]) -> Result<(), Refused> {
    if slots.is_empty() {
        return Ok(());
    }
    fn all<T>(slots: &[Held], f: impl Fn(&Held) -> T) -> Vec<T> {
        slots.iter().map(f).collect()
    }
    let moved: Vec<i16> = sqlx::query_scalar(MOVE)
        .bind(group)
        .bind(all(slots, |held| held.slot as i16))
        .bind(all(slots, |held| held.epoch))
        .bind(all(slots, |held| held.position.epoch))
        .bind(all(slots, |held| held.position.xid.to_string()))
        .bind(all(slots, |held| held.position.seq))
        .bind(all(slots, |held| held.carried.map(|carried| carried.carrier.cluster)))
        .bind(all(slots, |held| held.carried.map(|carried| carried.carrier.partitions)))
        .bind(all(slots, |held| held.carried.map(|carried| carried.next_offset)))
        .fetch_all(write.connection())
        .await
        .map_err(StoreError::from)?;
    let lost = slots.iter().map(|held| held.slot).filter(|slot| !moved.contains(&(*slot as i16)));
    let lost: Vec<u16> = lost.collect();
    if lost.is_empty() { Ok(()) } else { Err(Refused::Fenced(lost)) }
}

#[async_trait]
impl Inbox for PgInbox {
    fn group(&self) -> &str {
        self.consumer.group()
    }

    async fn apply(&self, batch: &Batch) -> Result<Vec<Outcome>, Refused> {
        let events: Vec<Envelope> = batch.events.iter().map(|(_, event)| event.clone()).collect();
        let mut write = self.consumer.store().begin(&self.consumer.locks(&events)).await?;
        drop(events);
        let outcomes = self.effects(&mut write, batch).await?;
        self.advance(&mut write, &settle(batch, &outcomes)).await?;
        write.commit().await?;
        Ok(outcomes)
    }

    async fn attempt(&self, held: &Held, at: Position) -> Result<u32, Refused> {
        let attempts = self.tries(ATTEMPT, held, at).await?;
        Ok(attempts.ok_or_else(|| Refused::Fenced(vec![held.slot]))?.unsigned_abs())
    }

    async fn excuse(&self, held: &Held, at: Position) -> Result<(), Refused> {
        self.tries(EXCUSE, held, at).await.map(drop)
    }

    async fn park(&self, held: &Held, letter: &Letter) -> Result<(), Refused> {
        let mut write = self.consumer.store().begin(&Locks::none()).await?;
        self.insert(&mut write, &[Row::letter(letter)]).await?;
        self.advance(&mut write, &[held.after(letter.at)]).await?;
        write.commit().await?;
        Ok(())
    }
}

/// A row of the dead letters: a letter, or what queues behind one.
struct Row<'a> {
    at: Position,
    event: &'a Envelope,
    reason: Option<&'a str>,
    attempts: i32,
}

impl<'a> Row<'a> {
    fn behind(at: &Place, event: &'a Envelope) -> Self {
        Self { at: at.position, event, reason: None, attempts: 0 }
    }

    fn letter(letter: &'a Letter) -> Self {
        let attempts = i32::try_from(letter.attempts).unwrap_or(i32::MAX);
        Self { at: letter.at.position, event: &letter.event, reason: Some(&letter.reason), attempts }
    }
}

/// A committed batch has no poison in it: an event after it might have been applied out of order.
fn outcome(applied: Applied) -> Result<Outcome, Refused> {
    match applied {
        Applied::Done => Ok(Outcome::Done),
        Applied::Duplicate => Ok(Outcome::Duplicate),
        Applied::Skipped => Ok(Outcome::Skipped),
        Applied::Gap { seen } => Ok(Outcome::Gap { seen }),
        Applied::Poison(why) => Err(Refused::Failed(why)),
    }
}

/// As [`Consumer::apply`]; a panic is an error of the events, and answers that do not match are too.
pub(crate) async fn apply(
    consumer: &dyn Consumer,
    write: &mut Write,
    events: &[Envelope],
) -> Result<Vec<Applied>, Refused> {
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let applied = AssertUnwindSafe(consumer.apply(write, events)).catch_unwind().await;
    let applied = applied.map_err(|_| Refused::Failed("the consumer panicked".to_owned()))??;
    if applied.len() == events.len() {
        return Ok(applied);
    }
    Err(Refused::Failed(format!("{} answers for {} events", applied.len(), events.len())))
}
