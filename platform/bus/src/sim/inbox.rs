//! The inbox in memory: the semantics of PostgreSQL's, and a crash point at each await.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use banyan_store::{Held, Position};
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    Rng,
    world::{Bug, World, key},
};
use crate::{Batch, Inbox, Letter, Outcome, Refused};

/// One process: it can be frozen, and it can die.
#[derive(Clone)]
pub(crate) struct Process {
    pub world: Arc<World>,
    pub frozen_until: Arc<Mutex<Instant>>,
    pub died: CancellationToken,
    rng: Arc<Mutex<Rng>>,
}

impl Process {
    pub fn new(world: &Arc<World>, who: u64) -> Self {
        let rng = Arc::new(Mutex::new(world.rng(who)));
        let frozen_until = Arc::new(Mutex::new(Instant::now()));
        Self { world: world.clone(), frozen_until, died: CancellationToken::new(), rng }
    }

    /// Takes no time, or a moment, and longer if the process is frozen.
    pub async fn step(&self) {
        let delay = self.rng.lock().expect("no holder panics").delay();
        if let Some(delay) = delay {
            sleep(delay).await;
        }
        let frozen_until = *self.frozen_until.lock().expect("no holder panics");
        if frozen_until > Instant::now() {
            sleep_until(frozen_until).await;
        }
    }

    pub fn percent(&self, chance: u64) -> bool {
        self.rng.lock().expect("no holder panics").percent(chance)
    }

    async fn die(&self) {
        self.died.cancel();
        std::future::pending().await
    }

    /// Before a transaction: it may not come about.
    async fn begin(&self) -> Result<(), Refused> {
        self.step().await;
        if self.percent(3) { Err(Refused::Later("away".to_owned())) } else { Ok(()) }
    }

    /// Slots that are another's by now.
    fn check(&self, slots: &[Held]) -> Result<(), Refused> {
        let fenced = self.world.fenced(slots);
        if fenced.is_empty() { Ok(()) } else { Err(Refused::Fenced(fenced)) }
    }

    /// After a commit: the process may die before it hears of it, or hear nothing.
    async fn end(&self) -> Result<(), Refused> {
        self.step().await;
        // Who leans on positions alone must know what was committed.
        let unheard = self.world.keeps_sequences && self.percent(3);
        if unheard { Err(Refused::Later("the commit's answer was lost".to_owned())) } else { Ok(()) }
    }
}

#[async_trait]
impl Inbox for Process {
    fn group(&self) -> &str {
        "simulated"
    }

    async fn apply(&self, batch: &Batch) -> Result<Vec<Outcome>, Refused> {
        self.begin().await?;
        let transaction = self.world.transaction.lock().await;
        let staged = self.world.stage(batch).map_err(Refused::Failed)?;
        let kills = {
            let tables = self.world.tables();
            !tables.is_healed && staged.effects.iter().any(|event| tables.killers.contains(&key(event)))
        };
        if kills {
            self.die().await;
        }
        if self.world.bug == Bug::PositionApart {
            self.check(&staged.moved)?;
            self.world.commit_positions(&staged.moved);
            self.step().await;
            self.world.commit_effects(&staged);
        } else {
            // Others may take the slots meanwhile.
            self.step().await;
            self.check(&staged.moved)?;
            self.world.commit(&staged);
        }
        drop(transaction);
        self.end().await?;
        Ok(staged.outcomes)
    }

    async fn attempt(&self, held: &Held, at: Position) -> Result<u32, Refused> {
        self.begin().await?;
        self.check(std::slice::from_ref(held))?;
        let attempts = {
            let mut tables = self.world.tables();
            let attempted = &mut tables.slots[usize::from(held.slot)].attempted;
            *attempted = (at, if attempted.0 == at { attempted.1 + 1 } else { 1 });
            attempted.1
        };
        self.end().await?;
        Ok(if self.world.bug == Bug::ForgetsAttempts { 1 } else { attempts })
    }

    async fn excuse(&self, held: &Held, at: Position) -> Result<(), Refused> {
        self.begin().await?;
        self.check(std::slice::from_ref(held))?;
        let mut tables = self.world.tables();
        let attempted = &mut tables.slots[usize::from(held.slot)].attempted;
        if attempted.0 == at {
            attempted.1 = attempted.1.saturating_sub(1);
        }
        Ok(())
    }

    async fn park(&self, held: &Held, letter: &Letter) -> Result<(), Refused> {
        self.begin().await?;
        let transaction = self.world.transaction.lock().await;
        self.step().await;
        self.check(std::slice::from_ref(held))?;
        self.world.tables().queue(letter.at.position, &letter.event);
        self.world.commit_positions(&[held.after(letter.at)]);
        drop(transaction);
        self.end().await
    }
}
