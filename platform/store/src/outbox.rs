//! The outbox: written with the state it tells of, read in commit order.

use banyan_kernel::{Context, Envelope, Json, Timestamp, event_id, slot_of};
use sqlx::{FromRow, PgConnection, PgPool, types::Json as SqlJson};
use uuid::Uuid;

use crate::{Place, Position, StoreError};

const INSERT: &str = "insert into outbox (epoch, id, aggregatetype, aggregateid, type, payload, slot, sequence, \
     schema_version, at, causation, actor, traceparent) \
     select $1, id, $2, subject, kind, payload, slot, sequence, version, at, causation, actor, trace \
     from unnest($3::uuid[], $4::text[], $5::text[], $6::jsonb[], $7::int2[], $8::int8[], $9::int2[], \
     $10::timestamptz[], $11::text[], $12::text[], $13::text[]) \
     as t(id, subject, kind, payload, slot, sequence, version, at, causation, actor, trace)";

/// Rows of earlier epochs are committed by definition; of the current one those below the horizon.
const READ: &str = "select o.epoch, o.xid::text::int8 as xid, o.seq, o.id, o.type as kind, o.aggregateid as subject, \
     o.at, o.schema_version, o.sequence, o.causation, o.actor, o.traceparent, o.payload \
     from outbox o where (o.epoch, o.xid, o.seq) > ($1, $2::text::xid8, $3) \
     and (o.epoch, o.xid) < ($4, $5::text::xid8) and o.slot = any($6) \
     order by o.epoch, o.xid, o.seq limit $7";

/// All that is committed, also above the horizon: one subject's events are ordered by their sequence.
const READ_SUBJECT: &str = "select epoch, xid::text::int8 as xid, seq, id, type as kind, aggregateid as subject, \
     at, schema_version, sequence, causation, actor, traceparent, payload \
     from outbox where aggregateid = $1 and sequence > $2 order by sequence limit $3";

/// Read before the rows: a horizon that is a little old is a little lower, never wrong.
const HORIZON: &str = "select epoch, pg_snapshot_xmin(pg_current_snapshot())::text::int8 from fence";

/// An event to be told.
#[derive(Clone, Debug)]
pub struct Tell {
    /// What happened: a contract's `KIND`.
    pub kind: &'static str,
    /// The aggregate; also the key of order.
    pub subject: String,
    /// Counts the events told of this subject from 1, without a gap.
    pub sequence: i64,
    /// Of `data`.
    pub schema_version: i16,
    /// The contract's event type, as JSON.
    pub data: Json,
    /// When, by the module's clock.
    pub at: Timestamp,
    /// The command or event that caused it.
    pub causation: String,
    /// Who, in which trace.
    pub context: Context,
}

pub(crate) async fn insert(
    connection: &mut PgConnection,
    source: &str,
    epoch: i64,
    events: &[Tell],
) -> Result<(), StoreError> {
    if events.is_empty() {
        return Ok(());
    }
    fn all<'a, T>(events: &'a [Tell], f: impl Fn(&'a Tell) -> T) -> Vec<T> {
        events.iter().map(f).collect()
    }
    sqlx::query(INSERT)
        .bind(epoch)
        .bind(source)
        .bind(all(events, |e| event_id(source, &e.subject, e.sequence)))
        .bind(all(events, |e| e.subject.as_str()))
        .bind(all(events, |e| e.kind))
        .bind(all(events, |e| SqlJson(&e.data)))
        .bind(all(events, |e| slot_of(&e.subject) as i16))
        .bind(all(events, |e| e.sequence))
        .bind(all(events, |e| e.schema_version))
        .bind(all(events, |e| e.at))
        .bind(all(events, |e| e.causation.as_str()))
        .bind(all(events, |e| e.context.actor.to_string()))
        .bind(all(events, |e| e.context.trace.to_string()))
        .execute(connection)
        .await?;
    Ok(())
}

/// How far an outbox may be read: everything of earlier epochs, and what is below `xid` in this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Horizon {
    /// The current epoch.
    pub epoch: i64,
    /// The oldest transaction that may still be open.
    pub xid: i64,
}

impl Horizon {
    /// Asks the database.
    ///
    /// # Errors
    /// As any statement.
    pub async fn read(pool: &PgPool) -> Result<Self, StoreError> {
        let (epoch, xid) = sqlx::query_as(HORIZON).fetch_one(pool).await?;
        Ok(Self { epoch, xid })
    }

    /// The last place that is certainly complete.
    #[must_use]
    pub fn end(&self) -> Position {
        Position { epoch: self.epoch, xid: self.xid - 1, seq: i64::MAX }
    }
}

/// What was read, and how far: everything of the asked slots up to `end` is in it.
#[derive(Clone, Debug, Default)]
pub struct Page {
    /// In order.
    pub events: Vec<(Place, Envelope)>,
    /// A reader that applied `events` stands here.
    pub end: Position,
}

#[derive(FromRow)]
struct Row {
    epoch: i64,
    xid: i64,
    seq: i64,
    id: Uuid,
    kind: String,
    subject: String,
    at: Timestamp,
    schema_version: i16,
    sequence: i64,
    causation: String,
    actor: String,
    traceparent: String,
    payload: Json,
}

impl Row {
    fn envelope(self, source: &str) -> Result<(Place, Envelope), StoreError> {
        let position = Position { epoch: self.epoch, xid: self.xid, seq: self.seq };
        let traceparent = self.traceparent.parse();
        let traceparent = traceparent
            .map_err(|_| StoreError::Conflict(format!("the outbox's row {position} has no trace")))?;
        let envelope = Envelope {
            id: self.id,
            kind: self.kind,
            source: source.to_owned(),
            subject: self.subject,
            time: self.at,
            schema_version: self.schema_version.unsigned_abs(),
            sequence: self.sequence,
            causation: self.causation,
            actor: self.actor,
            traceparent,
            data: self.payload,
        };
        Ok((position.into(), envelope))
    }
}

/// Reads a module's outbox: at most `limit` events of `slots` after a place, below the horizon.
///
/// # Errors
/// As any statement.
pub async fn read_outbox(
    pool: &PgPool,
    source: &str,
    after: Position,
    slots: &[u16],
    limit: u16,
) -> Result<Page, StoreError> {
    let horizon = Horizon::read(pool).await?;
    let rows: Vec<Row> = sqlx::query_as(READ)
        .bind(after.epoch)
        .bind(after.xid.to_string())
        .bind(after.seq)
        .bind(horizon.epoch)
        .bind(horizon.xid.to_string())
        .bind(slots.iter().map(|slot| *slot as i16).collect::<Vec<_>>())
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    let full = rows.len() == usize::from(limit);
    let events = rows.into_iter().map(|row| row.envelope(source)).collect::<Result<Vec<_>, _>>()?;
    let last = events.last().map(|(place, _)| place.position);
    let end = if full { last.unwrap_or(after) } else { horizon.end().max(after) };
    Ok(Page { events, end })
}

/// Reads at most `limit` events of one subject after a sequence, in order: what fills a gap.
///
/// # Errors
/// As any statement.
pub async fn read_subject(
    pool: &PgPool,
    source: &str,
    subject: &str,
    after_sequence: i64,
    limit: u16,
) -> Result<Vec<Envelope>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(READ_SUBJECT)
        .bind(subject)
        .bind(after_sequence)
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?;
    rows.into_iter().map(|row| row.envelope(source).map(|(_, envelope)| envelope)).collect()
}
