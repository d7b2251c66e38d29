//! What rows about Kafka share: a stage with a broker, and `lab carried`, one process that relays lab's own events to
//! their topic or hears them from there, to be killed, frozen and outlived.

use std::{
    collections::BTreeMap,
    process::{ExitCode, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use async_trait::async_trait;
use banyan_bus::{Applied, Bus, Consumer, Counters, GroupOptions, OutboxSource, Source};
use banyan_kafka::{Cluster, KafkaBus, Relay, testing::Broker};
use banyan_kernel::{Envelope, stable_hash};
use banyan_lab::stage::{ShopOptions, ShopProcess, Stage, process::Process, until};
use banyan_store::{
    Locks, OwnershipConfig, Store, StoreError, Write,
    sqlx::{self, AssertSqlSafe, PgPool, postgres::PgConnectOptions},
};
use clap::Parser;
use nix::sys::signal::Signal;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines},
    process::{Child, ChildStdin, ChildStdout},
    sync::watch,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Shown, own};

/// What a member prints when the effects of a batch are written and their position is not.
pub const WRITTEN: &str = "effects written";
/// What it prints when it has its first batch in hand.
pub const IN_HAND: &str = "a batch in hand";
/// What lets it go on with it.
const GO: &[u8] = b"go\n";
/// What topics begin with.
const PREFIX: &str = "lab";
/// Nothing that is waited for takes longer.
pub const DEADLINE: Duration = Duration::from_secs(60);
/// A transaction that waits says something so often: one that is silent for a second is ended by its server.
const STIR: Duration = Duration::from_millis(200);

const EFFECTS: &str = "select count(*), count(distinct (subject, sequence)) from lab.effect";
/// An event whose effect came before that of its predecessor, by subject.
const DISORDER: &str = "select count(*) from (select sequence - lag(sequence, 1, 0::int8) over (partition by subject order by n) as step \
     from lab.effect) s where step < 1";
const SHARES: &str =
    "select holder, count(*) from lab.slot where group_name = $1 and holder is not null group by holder";

/// One process of lab's own on a broker.
#[derive(Parser)]
#[command(name = "lab carried")]
struct Args {
    /// The database, as its administrator.
    url: String,
    /// The brokers.
    brokers: String,
    /// Hears as a member of this group; without one it relays.
    #[arg(long)]
    group: Option<String>,
    /// Is missed early.
    #[arg(long)]
    swift: bool,
    /// Stands still after the effects of so many events, before their position is written.
    #[arg(long)]
    pause_after: Option<usize>,
    /// Commits effects and position apart.
    #[arg(long)]
    apart: bool,
    /// Stands still with its first batch in hand, before its transaction.
    #[arg(long)]
    held: bool,
    /// Waits with its first batch, and lives on meanwhile.
    #[arg(long)]
    gate: bool,
    /// What the database works at an event.
    #[arg(long, default_value_t = 0)]
    work_us: u32,
}

/// The process. It ends well when its standard input does.
pub fn main() -> ExitCode {
    let args = Args::parse_from(std::env::args_os().skip(1));
    let Ok(administrator) = args.url.parse::<PgConnectOptions>() else {
        eprintln!("lab: {} is no address of a database", args.url);
        return ExitCode::from(2);
    };
    let (open, stop) = (watch::Sender::new(false), CancellationToken::new());
    let (opens, stopped) = (open.subscribe(), stop.clone());
    std::thread::spawn(move || {
        while std::io::stdin().read_line(&mut String::new()).is_ok_and(|bytes| bytes > 0) {
            open.send_replace(true);
        }
        open.send_replace(true);
        stopped.cancel();
    });
    match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime.block_on(serve(&administrator, args, opens, stop)),
        Err(error) => eprintln!("lab: {error}"),
    }
    ExitCode::SUCCESS
}

async fn serve(
    administrator: &PgConnectOptions,
    args: Args,
    open: watch::Receiver<bool>,
    stop: CancellationToken,
) {
    let (cluster, instance) = (cluster(&args.brokers), Uuid::new_v4());
    let tells = own::store(administrator, own::TELLER);
    let source: Arc<dyn Source> = Arc::new(OutboxSource::new(tells.clone()));
    let seed = stable_hash(instance.as_bytes());
    let options = GroupOptions { checkpoint: Duration::from_millis(500), seed, ..GroupOptions::default() };
    let ownership = if args.swift { own::OWNERSHIP } else { OwnershipConfig::default() };
    let counters = Arc::new(Counters::default());
    let Some(group) = args.group.clone() else {
        let relay = Relay::new(cluster, source, tells, instance).with(ownership, options);
        return relay.run(counters, stop).await;
    };
    let group: &'static str = group.leak();
    let tally = own::Tally { store: own::store(administrator, own::LAB), group };
    let bus = KafkaBus::new(cluster, [source], instance).with(ownership, options);
    let so_far = AtomicUsize::new(0);
    let hearer = Arc::new(Hearer { tally, args, open, so_far });
    if let Err(error) = bus.serve(hearer, counters.clone(), stop).await {
        eprintln!("lab: {error}");
    }
    println!("{}", applied(counters.applied.load(Relaxed)));
}

/// A member's last words.
pub fn applied(events: u64) -> String {
    format!("{events} events applied")
}

fn cluster(brokers: &str) -> Cluster {
    Cluster { prefix: PREFIX.to_owned(), ..Cluster::new(brokers) }
}

/// Writes down each event it is told; nothing but position and epoch keep it from writing one twice.
struct Hearer {
    tally: own::Tally,
    args: Args,
    open: watch::Receiver<bool>,
    so_far: AtomicUsize,
}

const WORK: &str = "select pg_sleep($1)";

impl Hearer {
    /// Stands where it is, all of it, until it is told to go on.
    fn hold(&self) {
        if !*self.open.borrow() {
            println!("{IN_HAND}");
            let mut open = self.open.clone();
            let opened = async { open.wait_for(|open| *open).await.map(drop) };
            // Who does not open it any more has ended, and ends this process.
            let _ = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(opened));
        }
    }

    async fn wait(&self, write: &mut Write) -> Result<(), StoreError> {
        let mut open = self.open.clone();
        if !*open.borrow() {
            println!("{IN_HAND}");
        }
        while tokio::time::timeout(STIR, open.wait_for(|open| *open)).await.is_err() {
            self.work(write, Duration::ZERO).await?;
        }
        Ok(())
    }

    async fn work(&self, write: &mut Write, time: Duration) -> Result<(), StoreError> {
        sqlx::query(WORK).bind(time.as_secs_f64()).execute(write.connection()).await?;
        Ok(())
    }

    /// Without the guarantee the effects are committed for themselves; the position follows, or does not.
    async fn effects(&self, write: &mut Write, batch: &[Envelope]) -> Result<Vec<Applied>, StoreError> {
        if !self.args.apart {
            return self.tally.apply(write, batch).await;
        }
        let mut alone = self.tally.store.begin(&Locks::none()).await?;
        let applied = self.tally.apply(&mut alone, batch).await?;
        alone.commit().await?;
        Ok(applied)
    }
}

#[async_trait]
impl Consumer for Hearer {
    fn group(&self) -> &'static str {
        self.tally.group
    }

    fn source(&self) -> &'static str {
        own::TELLER
    }

    fn store(&self) -> &Store {
        &self.tally.store
    }

    fn locks(&self, batch: &[Envelope]) -> Locks {
        if self.args.held && !batch.is_empty() {
            self.hold();
        }
        Locks::none()
    }

    async fn apply(&self, write: &mut Write, batch: &[Envelope]) -> Result<Vec<Applied>, StoreError> {
        if self.args.gate {
            self.wait(write).await?;
        }
        if self.args.work_us > 0 {
            let each = Duration::from_micros(self.args.work_us.into());
            self.work(write, each * u32::try_from(batch.len()).unwrap_or(u32::MAX)).await?;
        }
        let applied = self.effects(write, batch).await?;
        let so_far = self.so_far.fetch_add(batch.len(), Relaxed) + batch.len();
        if self.args.pause_after.is_some_and(|after| so_far >= after) {
            println!("{WRITTEN}");
            // Who waits for the line kills this process.
            std::future::pending::<()>().await;
        }
        Ok(applied)
    }
}

/// A database, a broker, and lab's own schemas between them.
pub struct Table {
    pub shop: ShopProcess,
    _broker: Broker,
    pub database: PgPool,
    pub teller: Store,
    pub cluster: Cluster,
    stage: Stage,
}

/// What was written down, of how many events, and how many of them out of order.
#[derive(Clone, Copy, Debug)]
pub struct Written {
    pub effects: i64,
    pub events: i64,
    pub disorder: i64,
}

impl Written {
    /// Nothing lost, doubled or out of order.
    pub fn is_whole(&self, told: i64) -> bool {
        self.effects == told && self.events == told && self.disorder == 0
    }

    /// What is wrong with it.
    pub fn in_words(&self, told: i64) -> String {
        let (lost, doubled) = (told - self.events, self.effects - self.events);
        format!("{} effects, {lost} lost, {doubled} doubled, {} out of order", self.effects, self.disorder)
    }
}

impl Table {
    /// Laid.
    ///
    /// # Errors
    /// Where there is no broker to be had: what is shown instead says why.
    pub async fn lay() -> Result<Self, Shown> {
        let started = tokio::task::spawn_blocking(Broker::start).await.expect("a broker starts");
        let broker = started.map_err(|why| Shown { figure: why, as_said: false })?;
        let stage = Stage::of(super::own_program());
        let shop = stage.shop("shop", ShopOptions::default()).await;
        own::prepare(&shop.superuser()).await;
        let (database, teller) = (shop.superuser_pool(), own::store(&shop.superuser(), own::TELLER));
        let cluster = broker.cluster(PREFIX);
        Ok(Self { shop, _broker: broker, database, teller, cluster, stage })
    }

    /// A process that relays.
    pub fn relay(&self) -> Member {
        self.start(&["--swift"])
    }

    /// A process that hears, as a member of `group`.
    pub fn member(&self, group: &str, args: &[&str]) -> Member {
        self.start(&[&["--group", group], args].concat())
    }

    fn start(&self, args: &[&str]) -> Member {
        let (url, brokers) = (self.shop.database_url(), &self.cluster.brokers);
        let command = self.stage.command(&[&["carried", &url, brokers], args].concat());
        let mut command = tokio::process::Command::from(command);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("lab itself");
        let process = child.id().and_then(|id| Process::now(i32::try_from(id).ok()?)).expect("it runs");
        let input = child.stdin.take().expect("a pipe");
        let output = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Member { process, child, input, output }
    }

    /// What was written down so far.
    pub async fn written(&self) -> Written {
        let (effects, events) = sqlx::query_as(EFFECTS).fetch_one(&self.database).await.expect("the effects");
        let disorder = sqlx::query_scalar(DISORDER).fetch_one(&self.database).await.expect("the effects");
        Written { effects, events, disorder }
    }

    /// Waits until so many different events have an effect.
    pub async fn heard(&self, events: i64) {
        until(DEADLINE, "the events to be heard", async || {
            let (_, different): (i64, i64) = sqlx::query_as(EFFECTS).fetch_one(&self.database).await.ok()?;
            (different >= events).then_some(())
        })
        .await;
    }

    /// Forgets what was written down.
    pub async fn wipe(&self) {
        self.change("truncate lab.effect").await;
    }

    /// Changes something behind everybody's back.
    pub async fn change(&self, statement: &str) {
        let done = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(&self.database).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }

    /// How many slots each member of a group holds.
    pub async fn shares(&self, group: &str) -> BTreeMap<Uuid, i64> {
        let rows: Vec<(Uuid, i64)> =
            sqlx::query_as(SHARES).bind(group).fetch_all(&self.database).await.unwrap_or_default();
        rows.into_iter().collect()
    }

    /// How many records the topic has.
    pub async fn records(&self) -> Option<i64> {
        let topic = self.cluster.look(own::TELLER).await.ok().flatten()?;
        Some(topic.partitions.iter().map(|(begin, end)| end - begin).sum())
    }
}

/// A process of `lab carried`.
pub struct Member {
    pub process: Process,
    child: Child,
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

impl Member {
    /// Waits until it says this.
    pub async fn says(&mut self, line: &str) {
        let said = tokio::time::timeout(DEADLINE, self.output.next_line()).await;
        assert_eq!(said.expect("a member that speaks").expect("a pipe").as_deref(), Some(line));
    }

    /// Lets it go on with the batch in its hand.
    pub async fn go(&mut self) {
        self.input.write_all(GO).await.expect("a member that listens");
    }

    /// `kill -9`, and waits until it is gone.
    pub async fn kill9(mut self) {
        self.child.kill().await.expect("a child of ours");
    }

    /// Stops it where it stands, or lets it go on.
    pub fn freeze(&self, frozen: bool) {
        self.process.signal(if frozen { Signal::SIGSTOP } else { Signal::SIGCONT });
    }

    /// Has it leave, and tells its last words.
    pub async fn leave(self) -> Option<String> {
        let Self { mut child, input, mut output, .. } = self;
        drop(input);
        let ended = async {
            let mut last = None;
            while let Ok(Some(line)) = output.next_line().await {
                last = Some(line);
            }
            child.wait().await.expect("a child of ours");
            last
        };
        tokio::time::timeout(DEADLINE, ended).await.expect("a member that leaves")
    }
}
