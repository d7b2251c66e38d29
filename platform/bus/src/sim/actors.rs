//! Who acts in a history: writers, members, and somebody who kills, freezes, heals and replays.

use std::{sync::Arc, time::Duration};

use banyan_kernel::{Clock, Envelope, Json, ManualClock, TraceParent, event_id};
use banyan_store::{Ownership, OwnershipConfig, Position};
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Rng,
    inbox::Process,
    source::Read,
    world::{Violation, World},
};
use crate::{Counters, GroupOptions, run_group};

const SUBJECTS: u64 = 6;
const EVENTS: u64 = 8;
/// Of the world's own time.
const REST_WITHIN: Duration = Duration::from_secs(60);
const OWNERSHIP: OwnershipConfig =
    OwnershipConfig { beat: Duration::from_millis(40), time_to_live: Duration::from_millis(160) };

/// Small pages, so that there are many.
fn options(seed: u64) -> GroupOptions {
    GroupOptions {
        page_events: 5,
        poll: Duration::from_millis(300),
        backoff: (Duration::from_millis(5), Duration::from_millis(50)),
        gap_wait: Duration::from_millis(10),
        retry: Duration::from_millis(10),
        suspicion: Duration::from_millis(50),
        checkpoint: Duration::from_millis(50),
        seed,
        ..GroupOptions::default()
    }
}

/// One history, from the first event until everything is at rest.
pub(crate) async fn play(world: Arc<World>) -> Result<u64, Violation> {
    let mut rng = world.rng(1);
    plant(&world, &mut rng);
    let writers: Vec<_> = (0..SUBJECTS).map(|subject| tokio::spawn(write(world.clone(), subject))).collect();
    let mut members = Members { world: world.clone(), living: Vec::new(), next: 100 };
    for _ in 0..20 + rng.below(20) {
        members.disturb(&mut rng).await;
        sleep(Duration::from_millis(rng.below(60))).await;
    }
    for writer in writers {
        writer.await.expect("writers live on");
    }
    members.calm().await
}

/// What will fail, by the seed: an event is lost, poison, a killer, or sound.
fn plant(world: &World, rng: &mut Rng) {
    let mut tables = world.tables();
    for subject in 0..SUBJECTS {
        for sequence in 1..=i64::try_from(EVENTS).unwrap_or(0) {
            let event = (name(subject), sequence);
            match rng.below(30) {
                0 => drop(tables.poison.insert(event)),
                1 if rng.percent(50) => drop(tables.killers.insert(event)),
                // The last one's loss would not be noticed by any that comes after.
                2 | 3 if world.keeps_sequences && sequence < 8 => drop(tables.lost.insert(event)),
                _ => {}
            }
        }
    }
}

fn name(subject: u64) -> String {
    format!("subject-{subject}")
}

/// Tells a subject's events, one after the other, in transactions that last.
async fn write(world: Arc<World>, subject: u64) {
    let mut rng = world.rng(1_000 + subject);
    for sequence in 1..=i64::try_from(EVENTS).unwrap_or(0) {
        sleep(Duration::from_millis(rng.below(120))).await;
        let _fence = world.fence.read().await;
        let (epoch, xid) = {
            let mut tables = world.tables();
            let xid = tables.next_xid;
            tables.next_xid += 1;
            tables.open.insert(xid);
            (tables.epoch, xid)
        };
        sleep(rng.delay().unwrap_or_default()).await;
        let mut tables = world.tables();
        tables.open.remove(&xid);
        tables.outbox.insert(Position { epoch, xid, seq: xid }, event(&name(subject), sequence));
        drop(tables);
        world.raise();
    }
}

fn event(subject: &str, sequence: i64) -> Envelope {
    Envelope {
        id: event_id("simulated", subject, sequence),
        kind: "Told".to_owned(),
        source: "simulated".to_owned(),
        subject: subject.to_owned(),
        time: ManualClock::at_micros(sequence).now(),
        schema_version: 1,
        sequence,
        causation: String::new(),
        actor: "system:simulation".to_owned(),
        traceparent: TraceParent::root(Uuid::from_u128(1)),
        data: Json::Null,
    }
}

struct Members {
    world: Arc<World>,
    living: Vec<(Process, JoinHandle<()>)>,
    next: u64,
}

impl Members {
    fn start(&mut self) {
        self.next += 1;
        let process = Process::new(&self.world, self.next);
        self.living.push((process.clone(), tokio::spawn(serve(process, self.next))));
    }

    async fn disturb(&mut self, rng: &mut Rng) {
        self.living.retain(|(_, task)| !task.is_finished());
        let chosen = usize::try_from(rng.below(self.living.len().max(1) as u64)).unwrap_or(0);
        match rng.below(10) {
            0..=3 if self.living.len() < 3 => self.start(),
            4 | 5 if !self.living.is_empty() => self.living.swap_remove(chosen).1.abort(),
            6 | 7 if !self.living.is_empty() => {
                let frozen_until = Instant::now() + Duration::from_millis(rng.below(600));
                *self.living[chosen].0.frozen_until.lock().expect("no holder panics") = frozen_until;
            }
            8 => {
                let _fence = self.world.fence.write().await;
                self.world.tables().epoch += 1;
            }
            9 => replay_all(&self.world, rng).await,
            _ => {}
        }
    }

    /// Everything is sound again, and members live: all must come to rest.
    async fn calm(mut self) -> Result<u64, Violation> {
        let mut rng = self.world.rng(2);
        let deadline = Instant::now() + REST_WITHIN;
        // What kills is not healed: it must be found.
        while let (left, told) = self.world.left()
            && (left > 0 || !self.world.tables().letters.is_empty())
        {
            self.living.retain(|(_, task)| !task.is_finished());
            if self.living.len() < 2 {
                self.start();
            }
            let parked = self.world.tables().letters.len();
            if Instant::now() >= deadline {
                self.violate(Violation::Stuck { left, told, parked });
                break;
            }
            replay_all(&self.world, &mut rng).await;
            sleep(Duration::from_millis(100)).await;
        }
        let tables = self.world.tables();
        tables.violation.clone().map_or(Ok(tables.trace), Err)
    }

    fn violate(&self, violation: Violation) {
        self.world.tables().violation.get_or_insert(violation);
    }
}

/// A process of the group, until it dies.
async fn serve(process: Process, who: u64) {
    let table = Arc::new(process.clone());
    let ownership = Ownership::new(table, "simulated", Uuid::from_u128(u128::from(who)), OWNERSHIP);
    let source = Arc::new(Read { process: process.clone(), signal: process.world.listen() });
    let (stop, died) = (CancellationToken::new(), process.died.clone());
    let driver =
        run_group(source, process, ownership.held(), options(who), Arc::new(Counters::default()), stop);
    tokio::select! {
        biased;
        () = died.cancelled() => {}
        () = driver => {}
        () = ownership.run(std::future::pending()) => {}
    }
}

/// Applies the letters of every key, each in a transaction of its own, as somebody does who saw to them.
async fn replay_all(world: &World, rng: &mut Rng) {
    let keys: Vec<String> = world.tables().letters.keys().cloned().collect();
    for key in keys {
        loop {
            let _transaction = world.transaction.lock().await;
            sleep(rng.delay().unwrap_or_default()).await;
            if !replay_one(world, &key) {
                break;
            }
        }
    }
}

/// The oldest letter, with what it misses; false when the key is free.
fn replay_one(world: &World, key: &str) -> bool {
    let mut tables = world.tables();
    let Some((_, letter)) = tables.letters.get_mut(key).and_then(|queue| queue.pop_front()) else {
        return false;
    };
    let seen = if world.keeps_sequences { tables.seen(key) } else { letter.sequence - 1 };
    let told = tables.outbox.values().filter(|event| event.subject == key);
    let due = told.filter(|event| event.sequence > seen && event.sequence <= letter.sequence);
    let due: Vec<Envelope> = due.cloned().collect();
    due.iter().for_each(|event| tables.effect(event));
    let is_free = tables.letters.get(key).is_some_and(|queue| queue.is_empty());
    if is_free {
        tables.letters.remove(key);
    }
    !is_free
}
