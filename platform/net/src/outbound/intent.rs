//! What is recorded of a request before it is sent, so that a crash cannot hide it.

use std::time::Duration;

use banyan_kernel::{CommandId, Refusal, Timestamp, stable_hash};
use banyan_store::sqlx::{self, FromRow, Row as _, postgres::PgRow};

use super::{CallError, Callee};

/// The largest back-off. A next try further away than this (a clock that jumped) is due now.
pub const BACK_OFF_MAX: Duration = Duration::from_secs(5);
const BACK_OFF_FIRST: Duration = Duration::from_millis(100);
/// So many look-ups in a row may be answered in words that are not understood.
const UNCLEAR_MAX: i32 = 4;

/// A request's record: kept on the row of what it is about, committed before each sending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Intent {
    /// How often it was sent.
    pub tries: i32,
    /// How often it was sent under a new key, since the old one was forgotten and nothing had been done.
    pub again: i32,
    /// 0 while the callee knows the key; then how often it was looked up by reference.
    pub look_ups: i32,
    /// When the key was first sent.
    pub first_sent_at: Option<Timestamp>,
    /// When to ask again; none when there is nothing to ask.
    pub next_try_at: Option<Timestamp>,
    /// Why it cannot be told what happened.
    pub broken: Option<String>,
}

/// From the columns that every table of records with calls has.
impl FromRow<'_, PgRow> for Intent {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            tries: row.try_get("tries")?,
            again: row.try_get("again")?,
            look_ups: row.try_get("look_ups")?,
            first_sent_at: row.try_get("first_sent_at")?,
            next_try_at: row.try_get("next_try_at")?,
            broken: row.try_get("broken")?,
        })
    }
}

/// What came of sending it, or of looking it up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome<T> {
    /// It is done.
    Done(T),
    /// It was refused, and will be again.
    Refused(Refusal),
    /// A look-up says that it was certainly not done.
    Absent,
    /// Nobody could say.
    Unknown(String),
    /// Answered, in words that are not understood.
    Unclear(String),
    /// Nothing left this process.
    NotSent(String),
    /// The callee does not let us in: asked again, but somebody must look.
    Misconfigured(String),
    /// It cannot be told what happened, and asking again will not help.
    Broken(String),
}

impl<T> Outcome<T> {
    /// With what is done as something else.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Done(done) => Outcome::Done(f(done)),
            Self::Refused(refusal) => Outcome::Refused(refusal),
            Self::Absent => Outcome::Absent,
            Self::Unknown(why) => Outcome::Unknown(why),
            Self::Unclear(why) => Outcome::Unclear(why),
            Self::NotSent(why) => Outcome::NotSent(why),
            Self::Misconfigured(why) => Outcome::Misconfigured(why),
            Self::Broken(why) => Outcome::Broken(why),
        }
    }
}

impl<T> From<CallError> for Outcome<T> {
    fn from(error: CallError) -> Self {
        let why = error.to_string();
        match error {
            CallError::NotSent(_) => Self::NotSent(why),
            CallError::NoAnswer(_) | CallError::InProgress => Self::Unknown(why),
            CallError::Garbage(_) => Self::Unclear(why),
            CallError::Forbidden(_) => Self::Misconfigured(why),
        }
    }
}

/// When to ask again, and for how long under the same key.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    time_out: Duration,
    key_known: Duration,
}

impl Timing {
    /// As the callee states; a tenth of its key memory is kept as a margin for clocks and slow wires.
    #[must_use]
    pub fn of(callee: &Callee) -> Self {
        Self { time_out: callee.time_out, key_known: callee.key_memory - callee.key_memory / 10 }
    }
}

impl Intent {
    /// The same request, of which it could not be told what happened: to be looked up first.
    #[must_use]
    pub fn looked_up_first(&self) -> Self {
        Self { look_ups: 1, broken: None, ..self.clone() }
    }

    /// Whether the next sending is a look-up by reference: the callee may have forgotten the key.
    #[must_use]
    pub fn is_look_up(&self) -> bool {
        self.look_ups > 0
    }

    /// The idempotency key: the command's id, and how often it was begun again.
    #[must_use]
    pub fn key(&self, id: &CommandId) -> String {
        if self.again == 0 { id.to_string() } else { format!("{id}/again-{}", self.again) }
    }

    /// Marks it as being sent now; to be committed before it is.
    pub fn claim(&mut self, id: &CommandId, timing: &Timing, now: Timestamp) {
        let first = *self.first_sent_at.get_or_insert(now);
        if self.is_look_up() || now - first > timing.key_known {
            self.look_ups += 1;
        }
        self.tries += 1;
        self.next_try_at = Some(now + timing.time_out + self.back_off(id));
    }

    /// Takes in what came of it. Told when it is settled: done, or refused.
    pub fn meet<T>(
        &mut self,
        outcome: Outcome<T>,
        id: &CommandId,
        now: Timestamp,
    ) -> Option<Result<T, Refusal>> {
        match outcome {
            Outcome::Done(done) => return self.settled(Ok(done)),
            Outcome::Refused(refusal) => return self.settled(Err(refusal)),
            Outcome::Absent => {
                let again = self.again + 1;
                *self = Self { again, tries: self.tries, next_try_at: Some(now), ..Self::default() };
            }
            Outcome::Broken(why) => self.stop(why),
            Outcome::Unclear(why) if self.look_ups > UNCLEAR_MAX => self.stop(why),
            Outcome::Unknown(_) | Outcome::Unclear(_) => self.next_try_at = Some(now + self.back_off(id)),
            Outcome::NotSent(_) => {
                self.tries -= 1;
                self.next_try_at = Some(now + self.back_off(id));
            }
            Outcome::Misconfigured(_) => self.next_try_at = Some(now + BACK_OFF_MAX),
        }
        None
    }

    fn settled<T>(&mut self, how: Result<T, Refusal>) -> Option<Result<T, Refusal>> {
        (self.first_sent_at, self.next_try_at) = (None, None);
        Some(how)
    }

    fn stop(&mut self, why: String) {
        self.next_try_at = None;
        self.broken = Some(why);
    }

    /// Exponential with full jitter, drawn from the id and the count: the same in each process.
    fn back_off(&self, id: &CommandId) -> Duration {
        let doublings = u32::try_from(self.tries).unwrap_or(0).min(10);
        let most = BACK_OFF_FIRST.saturating_mul(1 << doublings).min(BACK_OFF_MAX);
        let drawn = stable_hash(format!("{id} {}", self.tries).as_bytes()) % 1_000;
        most.mul_f64(drawn as f64 / 1_000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use banyan_kernel::OrderId;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn id() -> CommandId {
        CommandId::new(OrderId::derive("a", "k"), "authorise", 1)
    }

    fn timing() -> Timing {
        Timing::of(&Callee::new("http://x", "s"))
    }

    fn at(hours: u32) -> Timestamp {
        Timestamp::UNIX_EPOCH + HOUR * hours
    }

    #[test]
    fn the_key_is_the_same_until_it_was_forgotten_and_nothing_had_been_done() {
        let mut intent = Intent::default();
        intent.claim(&id(), &timing(), at(0));
        assert_eq!(intent.meet::<()>(Outcome::Unknown("late".into()), &id(), at(0)), None);
        intent.claim(&id(), &timing(), at(21));
        assert!(!intent.is_look_up());
        assert_eq!(intent.key(&id()), id().to_string());
        intent.claim(&id(), &timing(), at(22));
        assert!(intent.is_look_up());
        intent.meet::<()>(Outcome::Absent, &id(), at(22));
        intent.claim(&id(), &timing(), at(22));
        assert!(!intent.is_look_up());
        assert_eq!(intent.key(&id()), format!("{}/again-1", id()));
        assert_eq!(intent.meet(Outcome::Done(7), &id(), at(22)), Some(Ok(7)));
        assert_eq!(intent.next_try_at, None);
    }

    #[test]
    fn garbage_past_the_window_breaks_it_and_silence_does_not() {
        for (outcome, broken) in [(Outcome::Unclear("?".into()), true), (Outcome::Unknown("?".into()), false)]
        {
            let mut intent = Intent { first_sent_at: Some(at(0)), ..Intent::default() };
            for _ in 0..10 {
                intent.claim(&id(), &timing(), at(30));
                intent.meet::<()>(outcome.clone(), &id(), at(30));
            }
            assert_eq!(intent.broken.is_some(), broken);
            assert_eq!(intent.next_try_at.is_none(), broken);
        }
    }

    #[test]
    fn back_off_is_capped_and_differs_per_try() {
        let mut intent = Intent::default();
        let mut waits = Vec::new();
        for _ in 0..50 {
            intent.claim(&id(), &timing(), at(0));
            intent.meet::<()>(Outcome::Unknown(String::new()), &id(), at(0));
            waits.push(intent.next_try_at.unwrap() - at(0));
        }
        assert!(waits.iter().all(|wait| *wait <= BACK_OFF_MAX));
        waits.dedup();
        assert!(waits.len() > 40, "{waits:?}");
    }
}
