//! A route: one contract here and elsewhere, and whom an item goes to is decided anew for each, by its key.
//!
//! Both sides work on one database, which the way there makes sure of at each call (see [`PortClient::sharing`]). So an item may go to
//! either, and a command that is sent again may go to the other one: the row that it made there tells the repeat.
//!
//! [`PortClient::sharing`]: crate::port::PortClient::sharing

mod compare;
mod counts;
#[cfg(feature = "testing")]
pub mod testing;

use std::sync::Arc;

use banyan_kernel::{Answer, Command};
use serde::Serialize;
use serde_json::Value;
use tokio::{sync::Semaphore, time::Instant};

pub use compare::{Difference, Shadowed};
pub use counts::{Compared, Counts, Gauge};

/// Questions of one route that are asked in the shadow at a time; one more is not asked there.
const SHADOWS_MAX: usize = 8;

/// Who is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// This process.
    Here,
    /// The module's own.
    There,
}

/// What a route does with one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// It is asked here.
    Local,
    /// It is asked here, and a question elsewhere as well, to compare.
    Shadow,
    /// It is asked elsewhere.
    Remote,
}

/// Decides for each item.
pub trait Switch: Send + Sync {
    /// Where an item of this module goes. The same key goes the same way for as long as nobody turns the switch; without a key it is
    /// by chance.
    fn choose(&self, module: &'static str, key: Option<&str>) -> Choice;
}

/// One contract on both sides.
pub struct Route<S> {
    module: &'static str,
    here: S,
    there: S,
    switch: Arc<dyn Switch>,
    gauge: Arc<Gauge>,
    shadows: Arc<Semaphore>,
}

/// What is said to a question.
pub trait Outcome: Send {
    /// Whether nothing was said, for a reason that is nobody's but ours.
    fn has_failed(&self) -> bool;
    /// What was said, to compare it.
    fn said(&self) -> Value;
}

impl<R: Serialize + Send> Outcome for Answer<R> {
    fn has_failed(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Broken(_))
    }

    fn said(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl<R: Serialize + Send, E: Send> Outcome for Result<R, E> {
    fn has_failed(&self) -> bool {
        self.is_err()
    }

    fn said(&self) -> Value {
        self.as_ref().ok().and_then(|said| serde_json::to_value(said).ok()).unwrap_or_default()
    }
}

impl<S: Clone + Send + Sync + 'static> Route<S> {
    /// Of a module, with whoever answers for it here and elsewhere.
    #[must_use]
    pub fn new(
        module: &'static str,
        here: S,
        there: S,
        (switch, gauge): (Arc<dyn Switch>, Arc<Gauge>),
    ) -> Self {
        Self { module, here, there, switch, gauge, shadows: Arc::new(Semaphore::new(SHADOWS_MAX)) }
    }

    fn side(&self, side: Side) -> S {
        match side {
            Side::Here => self.here.clone(),
            Side::There => self.there.clone(),
        }
    }

    fn choose(&self, key: Option<&str>) -> (Side, Choice) {
        let choice = self.switch.choose(self.module, key);
        (if choice == Choice::Remote { Side::There } else { Side::Here }, choice)
    }

    /// A batch of commands, by their orders.
    pub async fn batch<B, R, F>(
        &self,
        batch: Vec<Command<B>>,
        ask: impl Fn(S, Vec<Command<B>>) -> F,
    ) -> Vec<Answer<R>>
    where
        R: Serialize + Send,
        F: Future<Output = Vec<Answer<R>>>,
    {
        self.each(batch, |command| command.id.order.to_string(), ask).await
    }

    /// Items that are answered one by one, in their order; each side gets its own in one batch.
    pub async fn each<I, R, F>(
        &self,
        items: Vec<I>,
        key: impl Fn(&I) -> String,
        ask: impl Fn(S, Vec<I>) -> F,
    ) -> Vec<Answer<R>>
    where
        R: Serialize + Send,
        F: Future<Output = Vec<Answer<R>>>,
    {
        let sides: Vec<Side> = items.iter().map(|item| self.choose(Some(&key(item))).0).collect();
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for (item, side) in items.into_iter().zip(&sides) {
            if *side == Side::Here { here.push(item) } else { there.push(item) }
        }
        let (here, there) =
            tokio::join!(self.part(Side::Here, here, &ask), self.part(Side::There, there, &ask));
        let (mut here, mut there) = (here.into_iter(), there.into_iter());
        let next = |side: Side| if side == Side::Here { here.next() } else { there.next() };
        sides.into_iter().map(next).map(|answer| answer.unwrap_or_else(not_said)).collect()
    }

    async fn part<I, R, F>(&self, side: Side, items: Vec<I>, ask: impl Fn(S, Vec<I>) -> F) -> Vec<Answer<R>>
    where
        R: Serialize + Send,
        F: Future<Output = Vec<Answer<R>>>,
    {
        if items.is_empty() {
            return Vec::new();
        }
        let (asked, began) = (items.len(), Instant::now());
        let mut answers = ask(self.side(side), items).await;
        answers.resize_with(asked, not_said);
        let failed = answers.iter().filter(|answer| answer.has_failed()).count();
        self.gauge.count(side, (asked, failed), began.elapsed());
        answers
    }

    /// Something that changes what the module knows: on one side, and never in the shadow.
    pub async fn change<Q, T, F>(&self, key: Option<&str>, wish: Q, ask: impl FnOnce(S, Q) -> F) -> T
    where
        T: Outcome,
        F: Future<Output = T>,
    {
        let side = self.choose(key).0;
        self.counted(side, ask(self.side(side), wish)).await
    }

    /// A question, which may be asked on both sides.
    pub async fn read<Q, T, F>(
        &self,
        operation: &'static str,
        key: Option<&str>,
        question: Q,
        ask: impl Fn(S, Q) -> F + Send + Sync + 'static,
    ) -> T
    where
        Q: Clone + Send + Sync + 'static,
        T: Outcome + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let (side, choice) = self.choose(key);
        let again = (choice == Choice::Shadow).then(|| question.clone());
        let answer = self.counted(side, ask(self.side(side), question)).await;
        if let Some(question) = again.filter(|_| !answer.has_failed()) {
            self.shadow(operation, &answer, move |side| ask(side, question.clone()));
        }
        answer
    }

    async fn counted<T: Outcome>(&self, side: Side, asked: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let answer = asked.await;
        self.gauge.count(side, (1, usize::from(answer.has_failed())), began.elapsed());
        answer
    }

    /// Asks the other side as well, while whoever asked goes on with the answer that they have.
    fn shadow<T, F>(&self, operation: &'static str, answer: &T, ask: impl Fn(S) -> F + Send + Sync + 'static)
    where
        T: Outcome + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let Ok(permit) = self.shadows.clone().try_acquire_owned() else { return self.gauge.shed() };
        // Not before there is room: who is shed pays for no comparison.
        let said = answer.said();
        let (gauge, here, there) = (self.gauge.clone(), self.here.clone(), self.there.clone());
        tokio::spawn(async move {
            let _permit = permit;
            let asked = |side: Side| {
                let asked = ask(if side == Side::Here { here.clone() } else { there.clone() });
                counted_shadow(gauge.clone(), side, asked)
            };
            let shadowed = compare::compared(said, asked).await;
            gauge.compared(operation, shadowed);
        });
    }
}

/// A question of the other side tells as much of it as any; one of our own is asked only to compare.
async fn counted_shadow<T: Outcome>(
    gauge: Arc<Gauge>,
    side: Side,
    asked: impl Future<Output = T>,
) -> Option<Value> {
    let began = Instant::now();
    let answer = asked.await;
    if side == Side::There {
        gauge.count(side, (1, usize::from(answer.has_failed())), began.elapsed());
    }
    (!answer.has_failed()).then(|| answer.said())
}

/// Fewer answers than items: they may have been done, and are asked for again.
fn not_said<R>() -> Answer<R> {
    Answer::Unavailable("it answered fewer items than it was asked".to_owned())
}

#[cfg(test)]
mod tests;
