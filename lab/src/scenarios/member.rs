//! `lab member`: one process that serves lab's own group, to be killed between an effect and its position.

use std::{
    io::Write as _,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use banyan_bus::{
    Applied, Batch, Consumer, Counters, Inbox, Letter, OutboxSource, Outcome, PgInbox, Refused, settle,
};
use banyan_kernel::Envelope;
use banyan_store::{Held, Locks, Position, Store, StoreError, Write, sqlx::postgres::PgConnectOptions};
use clap::Parser;
use tokio_util::sync::CancellationToken;

use super::own::{self, Tally};

/// What it prints when the effects of a batch are written and their position is not.
pub const WRITTEN: &str = "effects written";

/// Serves lab's own group until it is killed.
#[derive(Parser)]
#[command(name = "lab member")]
struct Args {
    /// The database, as its administrator.
    url: String,
    /// Stands still after the effects of so many events, before their position is.
    #[arg(long)]
    pause_after: Option<usize>,
    /// Commits effects and position apart.
    #[arg(long)]
    apart: bool,
}

/// The process.
pub fn main() -> ExitCode {
    let args = Args::parse_from(std::env::args_os().skip(1));
    let Ok(administrator) = args.url.parse::<PgConnectOptions>() else {
        eprintln!("lab: {} is no address of a database", args.url);
        return ExitCode::from(2);
    };
    match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime.block_on(member(&administrator, &args)),
        Err(error) => eprintln!("lab: {error}"),
    }
    ExitCode::SUCCESS
}

async fn member(administrator: &PgConnectOptions, args: &Args) {
    let (hears, tells) = (own::store(administrator, own::LAB), own::store(administrator, own::TELLER));
    let source = Arc::new(OutboxSource::new(tells));
    let left = Arc::new(Pause { after: args.pause_after.unwrap_or(usize::MAX), so_far: AtomicUsize::new(0) });
    let (counters, never) = (Arc::new(Counters::default()), CancellationToken::new());
    let tally = Arc::new(Pausing {
        tally: Tally { store: hears.clone(), group: Tally::GROUP },
        pause: (!args.apart).then(|| left.clone()),
    });
    let group = (&hears, tally.group());
    let inbox = PgInbox::new(tally.clone());
    if args.apart {
        let inbox = Apart { position: inbox, tally: tally.clone(), pause: left };
        own::serve(source, group, inbox, counters, never).await;
    } else {
        own::serve(source, group, inbox, counters, never).await;
    }
}

struct Pause {
    after: usize,
    so_far: AtomicUsize,
}

impl Pause {
    /// Stands still for ever once it is time.
    async fn here(&self, events: usize) {
        if self.so_far.fetch_add(events, Ordering::Relaxed) + events >= self.after {
            println!("{WRITTEN}");
            // Who waits for the line kills this process.
            let _ = std::io::stdout().flush();
            std::future::pending::<()>().await;
        }
    }
}

/// Pauses after its effects, in the transaction that also moves the position.
struct Pausing {
    tally: Tally,
    pause: Option<Arc<Pause>>,
}

#[async_trait]
impl Consumer for Pausing {
    fn group(&self) -> &'static str {
        self.tally.group()
    }

    fn source(&self) -> &'static str {
        self.tally.source()
    }

    fn store(&self) -> &Store {
        self.tally.store()
    }

    fn locks(&self, batch: &[Envelope]) -> Locks {
        self.tally.locks(batch)
    }

    async fn apply(&self, write: &mut Write, batch: &[Envelope]) -> Result<Vec<Applied>, StoreError> {
        let applied = self.tally.apply(write, batch).await?;
        if let Some(pause) = &self.pause {
            pause.here(batch.len()).await;
        }
        Ok(applied)
    }
}

/// Without the guarantee: first the effects are committed, then, in another transaction, the position.
struct Apart {
    position: PgInbox,
    tally: Arc<Pausing>,
    pause: Arc<Pause>,
}

#[async_trait]
impl Inbox for Apart {
    fn group(&self) -> &str {
        self.position.group()
    }

    async fn apply(&self, batch: &Batch) -> Result<Vec<Outcome>, Refused> {
        let events: Vec<Envelope> = batch.events.iter().map(|(_, event)| event.clone()).collect();
        let mut write = self.tally.store().begin(&Locks::none()).await?;
        self.tally.apply(&mut write, &events).await?;
        write.commit().await?;
        self.pause.here(events.len()).await;
        let outcomes = vec![Outcome::Done; events.len()];
        let moved = Batch { events: Vec::new(), slots: settle(batch, &outcomes) };
        self.position.apply(&moved).await?;
        Ok(outcomes)
    }

    async fn attempt(&self, held: &Held, at: Position) -> Result<u32, Refused> {
        self.position.attempt(held, at).await
    }

    async fn excuse(&self, held: &Held, at: Position) -> Result<(), Refused> {
        self.position.excuse(held, at).await
    }

    async fn park(&self, held: &Held, letter: &Letter) -> Result<(), Refused> {
        self.position.park(held, letter).await
    }
}
