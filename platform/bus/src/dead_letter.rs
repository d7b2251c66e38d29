//! Dead letters: seen, applied again, or given up, by somebody and for a reason.

use std::sync::Arc;

use banyan_kernel::{Envelope, Timestamp, event_id};
use banyan_store::{
    Store, StoreError, Write,
    sqlx::{self, types::Json},
};
use uuid::Uuid;

use crate::{Applied, Consumer, Refused, Source, pg_inbox};

/// The type as which a dropped event reaches its consumer: unknown to all, so that it moves the subject's
/// sequence and does nothing else.
pub const DROPPED: &str = "Dropped";

/// The largest answer of [`DeadLetters::list`].
const LIST_LETTERS: i64 = 1_000;
const WHO_BYTES: usize = 200;
const WHY_BYTES: usize = 1_000;
/// How many missing events a drop passes at once.
const PASSED_EVENTS: i64 = 1_000;
/// Of the locks: one key's letters are worked on by one at a time.
const LOCK: &str = "dead_letter";

const LIST: &str = "select key, place, envelope, reason, attempts, parked_at from dead_letter \
     where group_name = $1 order by key, place limit $2";
const OLDEST: &str = "select place, envelope from dead_letter where group_name = $1 and key = $2 \
     order by place limit 1";
/// Locked: the driver, which looks at the last letter of a key, waits until this one's fate is known.
const TAKE: &str = "delete from dead_letter where group_name = $1 and key = $2 and place = $3 \
     and not exists (select from dead_letter where group_name = $1 and key = $2 and place < $3) \
     returning place";
const DECIDE: &str = "insert into dead_letter_decision (group_name, key, place, event, decision, actor, reason, \
     decided_at) values ($1, $2, $3, $4, $5, $6, $7, $8)";
const FAILED_AGAIN: &str = "update dead_letter set reason = $4, attempts = attempts + 1 \
     where group_name = $1 and key = $2 and place = $3";

/// A dead letter, or an event that queues behind one.
#[derive(Clone, Debug, PartialEq)]
pub struct DeadLetter {
    /// What is parked: the subject of the events.
    pub key: String,
    /// Its place in the key's queue, which is served in ascending order.
    pub place: i64,
    /// The event.
    pub event: Envelope,
    /// Why it failed; none for one that waits behind it and was never tried.
    pub reason: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it came here, by the module's clock.
    pub parked_at: Timestamp,
}

/// Who decides about dead letters, and why: kept for ever.
#[derive(Clone, Debug)]
pub struct Decision {
    pub(crate) who: String,
    pub(crate) why: String,
}

/// Why dead letters stay where they are.
#[derive(Debug, thiserror::Error)]
pub enum DeadLetterError {
    /// Say who, in at most 200 bytes, and why, in at most 1,000.
    #[error("say who decides (1 to 200 bytes) and why (1 to 1000 bytes)")]
    Decision,
    /// No such letter at the head of its key's queue; look at the list again.
    #[error("{0} is not the oldest letter of its key, or is gone: look at the list again")]
    NotOldest(i64),
    /// It failed again and stays; those before it were replayed.
    #[error("letter {place} failed again, after {replayed} were replayed: {why}")]
    FailsAgain {
        /// Which.
        place: i64,
        /// How many before it were applied.
        replayed: u64,
        /// Why.
        why: String,
    },
    /// The database cannot do it now; try again later.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Decision {
    /// Somebody's, for a reason.
    ///
    /// # Errors
    /// When one is missing or too long.
    pub fn new(who: &str, why: &str) -> Result<Self, DeadLetterError> {
        let fits = |text: &str, bytes| (1..=bytes).contains(&text.trim().len());
        if !fits(who, WHO_BYTES) || !fits(why, WHY_BYTES) {
            return Err(DeadLetterError::Decision);
        }
        Ok(Self { who: who.trim().to_owned(), why: why.trim().to_owned() })
    }

    /// Who decides.
    #[must_use]
    pub fn who(&self) -> &str {
        &self.who
    }

    /// Why.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }
}

/// One group's dead letters.
pub struct DeadLetters {
    consumer: Arc<dyn Consumer>,
    source: Arc<dyn Source>,
}

/// The oldest letter of a key.
struct Oldest {
    place: i64,
    event: Envelope,
}

impl DeadLetters {
    /// Of this consumer's group; `source` is asked for what a letter misses.
    #[must_use]
    pub fn new(consumer: Arc<dyn Consumer>, source: Arc<dyn Source>) -> Self {
        Self { consumer, source }
    }

    fn store(&self) -> &Store {
        self.consumer.store()
    }

    /// At most the first 1,000, by key and place.
    ///
    /// # Errors
    /// As any statement.
    pub async fn list(&self) -> Result<Vec<DeadLetter>, StoreError> {
        type Row = (String, i64, Json<Envelope>, Option<String>, i32, Timestamp);
        let rows: Vec<Row> = sqlx::query_as(LIST)
            .bind(self.consumer.group())
            .bind(LIST_LETTERS)
            .fetch_all(self.store().pool())
            .await?;
        let letter = |(key, place, Json(event), reason, attempts, parked_at): Row| DeadLetter {
            key,
            place,
            event,
            reason,
            attempts: attempts.unsigned_abs(),
            parked_at,
        };
        Ok(rows.into_iter().map(letter).collect())
    }

    /// Applies a key's letter and all that queue behind it, in order, each in a write with its decision;
    /// then the key is free. How many that were.
    ///
    /// # Errors
    /// `FailsAgain` at the first that does: it stays, with what queues behind it.
    pub async fn replay(&self, key: &str, decision: &Decision) -> Result<u64, DeadLetterError> {
        let mut replayed = 0;
        while let Some(oldest) = self.oldest(key).await? {
            match self.replay_one(&oldest, decision).await {
                Ok(()) => replayed += 1,
                // Another replay was faster: look again.
                Err(DeadLetterError::NotOldest(_)) => {}
                Err(DeadLetterError::FailsAgain { place, why, .. }) => {
                    self.note_failure(&oldest, &why).await?;
                    return Err(DeadLetterError::FailsAgain { place, replayed, why });
                }
                Err(other) => return Err(other),
            }
        }
        Ok(replayed)
    }

    /// Gives up the oldest letter of a key, and what it misses if it waits for something that never came:
    /// they count as seen, without effects. What queues behind it stays parked until it is replayed.
    ///
    /// # Errors
    /// `NotOldest` for any other; `FailsAgain` when the consumer does not let it pass.
    pub async fn drop_letter(
        &self,
        key: &str,
        place: i64,
        decision: &Decision,
    ) -> Result<(), DeadLetterError> {
        let oldest = self.oldest(key).await?.filter(|oldest| oldest.place == place);
        let oldest = oldest.ok_or(DeadLetterError::NotOldest(place))?;
        let mut passed = vec![dropped(&oldest.event, oldest.event.sequence)];
        let (mut write, mut answers) = self.attempt(&oldest, &passed).await?;
        if let [Applied::Gap { seen }] = answers[..] {
            write.abandon().await;
            let first = (seen + 1).max(oldest.event.sequence - PASSED_EVENTS);
            passed = (first..=oldest.event.sequence).map(|n| dropped(&oldest.event, n)).collect();
            (write, answers) = self.attempt(&oldest, &passed).await?;
        }
        self.finish(write, &oldest, answers, "dropped", decision).await
    }

    async fn oldest(&self, key: &str) -> Result<Option<Oldest>, StoreError> {
        let query = sqlx::query_as(OLDEST).bind(self.consumer.group()).bind(key);
        let row: Option<(i64, Json<Envelope>)> = query.fetch_optional(self.store().pool()).await?;
        Ok(row.map(|(place, Json(event))| Oldest { place, event }))
    }

    async fn replay_one(&self, oldest: &Oldest, decision: &Decision) -> Result<(), DeadLetterError> {
        let letter = std::slice::from_ref(&oldest.event);
        let (mut write, mut answers) = self.attempt(oldest, letter).await?;
        if let [Applied::Gap { seen }] = answers[..] {
            write.abandon().await;
            let mut events = self.source.of_subject(&oldest.event.subject, seen).await?;
            events.retain(|event| event.sequence < oldest.event.sequence);
            events.push(oldest.event.clone());
            (write, answers) = self.attempt(oldest, &events).await?;
        }
        self.finish(write, oldest, answers, "replayed", decision).await
    }

    /// Takes the letter out of the queue and applies `events` in its place, in an open write.
    async fn attempt(
        &self,
        oldest: &Oldest,
        events: &[Envelope],
    ) -> Result<(Write, Vec<Applied>), DeadLetterError> {
        let key = &oldest.event.subject;
        let group = self.consumer.group();
        let locks = self.consumer.locks(events).and(LOCK, [format!("{group}/{key}")]);
        let mut write = self.store().begin(&locks).await?;
        let query = sqlx::query_scalar::<_, i64>(TAKE).bind(group).bind(key).bind(oldest.place);
        let taken = query.fetch_optional(write.connection()).await.map_err(StoreError::from)?;
        taken.ok_or(DeadLetterError::NotOldest(oldest.place))?;
        match pg_inbox::apply(&*self.consumer, &mut write, events).await {
            Ok(answers) => Ok((write, answers)),
            Err(Refused::Later(why)) => Err(StoreError::Unavailable(why).into()),
            Err(refused) => Err(fails_again(oldest, refused.to_string())),
        }
    }

    /// Commits with the decision, if every event was taken.
    async fn finish(
        &self,
        mut write: Write,
        oldest: &Oldest,
        answers: Vec<Applied>,
        what: &str,
        decision: &Decision,
    ) -> Result<(), DeadLetterError> {
        if let Some(why) = answers.into_iter().find_map(refusal) {
            write.abandon().await;
            return Err(fails_again(oldest, why));
        }
        let decided = sqlx::query(DECIDE)
            .bind(self.consumer.group())
            .bind(&oldest.event.subject)
            .bind(oldest.place)
            .bind(oldest.event.id)
            .bind(what)
            .bind(&decision.who)
            .bind(&decision.why)
            .bind(self.store().clock().now())
            .execute(write.connection());
        decided.await.map_err(StoreError::from)?;
        write.commit().await?;
        tracing::info!(
            group = self.consumer.group(), event = %oldest.event.id, subject = oldest.event.subject,
            correlation = oldest.event.traceparent.correlation(), who = decision.who, why = decision.why,
            "dead letter {what}"
        );
        Ok(())
    }

    async fn note_failure(&self, oldest: &Oldest, why: &str) -> Result<(), StoreError> {
        let mut write = self.store().begin(&banyan_store::Locks::none()).await?;
        sqlx::query(FAILED_AGAIN)
            .bind(self.consumer.group())
            .bind(&oldest.event.subject)
            .bind(oldest.place)
            .bind(why)
            .execute(write.connection())
            .await?;
        write.commit().await
    }
}

fn fails_again(oldest: &Oldest, why: String) -> DeadLetterError {
    DeadLetterError::FailsAgain { place: oldest.place, replayed: 0, why }
}

fn refusal(answer: Applied) -> Option<String> {
    match answer {
        Applied::Done | Applied::Duplicate | Applied::Skipped => None,
        Applied::Gap { seen } => Some(format!("event {} of this subject is missing", seen + 1)),
        Applied::Poison(why) => Some(why),
    }
}

/// The event of the subject that has this sequence, as one that was given up.
fn dropped(event: &Envelope, sequence: i64) -> Envelope {
    let id: Uuid = event_id(&event.source, &event.subject, sequence);
    let data = banyan_kernel::Json::Null;
    Envelope { id, kind: DROPPED.to_owned(), sequence, data, ..event.clone() }
}
