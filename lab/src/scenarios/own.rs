//! A module of lab's own on the shop's database: a schema, a role, a teller and a hearer of events.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use async_trait::async_trait;
use banyan_bus::{Applied, Consumer, Counters, GroupOptions, Inbox, PgInbox, Source, run_group};
use banyan_kernel::{Context, Envelope, Json, Sequenced, SystemClock, TraceParent};
use banyan_store::{
    Locks, Ownership, OwnershipConfig, Schema, Store, StoreError, Tell, Write, role_of,
    sqlx::{
        self, SqlSafeStr,
        migrate::{Migration, MigrationType, Migrator},
        postgres::PgConnectOptions,
    },
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// Its schema.
pub const LAB: &str = "lab";
/// The schema of who tells.
pub const TELLER: &str = "labteller";

const TABLES: &str = "create table effect (n bigint generated always as identity primary key, \
     subject text not null, sequence bigint not null); \
     create table board (order_id text primary key, says text not null, seen bigint not null)";

static TELLER_TABLES: LazyLock<Migrator> = LazyLock::new(|| Migrator::with_migrations(Vec::new()));
static LAB_TABLES: LazyLock<Migrator> = LazyLock::new(|| {
    let sql = TABLES.into_sql_str();
    Migrator::with_migrations(vec![Migration::new(9_001, "lab".into(), MigrationType::Simple, sql, false)])
});

/// A member beats fast, so that a death is seen fast.
pub const OWNERSHIP: OwnershipConfig =
    OwnershipConfig { beat: Duration::from_millis(50), time_to_live: Duration::from_millis(600) };

/// Makes the schemas and their roles.
pub async fn prepare(administrator: &PgConnectOptions) {
    let lab = Schema { name: LAB, migrations: &LAB_TABLES, insert_only: &[], reads_statistics: false };
    let teller =
        Schema { name: TELLER, migrations: &TELLER_TABLES, insert_only: &[], reads_statistics: false };
    banyan_store::prepare(administrator, "", &[lab, teller]).await.expect("schemas of lab's own");
}

/// A module's store, as its role.
pub fn store(administrator: &PgConnectOptions, module: &'static str) -> Store {
    let options = administrator.clone().username(&role_of(module));
    Store::new(options, module, 4, Arc::new(SystemClock))
}

/// Tells `events` events of so many subjects, the sequences beginning after `after`.
pub async fn tell(store: &Store, subjects: usize, after: i64, rounds: i64) {
    for sequence in after + 1..=after + rounds {
        let one = |n: usize| Tell {
            kind: "Counted",
            subject: format!("subject-{n}"),
            sequence,
            schema_version: 1,
            data: Json::Null,
            at: store.clock().now(),
            causation: "lab".to_owned(),
            context: Context::system("lab", TraceParent::root(Uuid::from_u128(7))),
        };
        let events: Vec<Tell> = (0..subjects).map(one).collect();
        let mut write = store.begin(&Locks::none()).await.expect("the database writes");
        write.tell(&events).await.expect("the outbox takes events");
        write.commit().await.expect("the database commits");
    }
}

/// Serves a group until `stop`: a member of it, with its effects in `inbox`.
pub async fn serve(
    source: Arc<dyn Source>,
    (store, group): (&Store, &'static str),
    inbox: impl Inbox,
    counters: Arc<Counters>,
    stop: CancellationToken,
) {
    let ownership = Ownership::new(Arc::new(store.clone()), group, Uuid::new_v4(), OWNERSHIP);
    let (held, done) = (ownership.held(), CancellationToken::new());
    let options = GroupOptions { poll: Duration::from_millis(200), ..GroupOptions::default() };
    let driver = async {
        run_group(source, inbox, held, options, counters, stop).await;
        done.cancel();
    };
    tokio::join!(driver, ownership.run(done.cancelled()));
}

/// A board that says of each order what was heard of it last.
pub struct Board {
    store: Store,
    /// Whether an event is judged by its sequence before it counts.
    judges: bool,
}

const SEEN: &str = "select coalesce(max(seen), 0) from board where order_id = $1";
const SAY: &str = "insert into board (order_id, says, seen) values ($1, $2, $3) \
     on conflict (order_id) do update set says = excluded.says, seen = excluded.seen";

impl Board {
    /// Its group.
    pub const GROUP: &'static str = "lab.orders";

    /// In lab's schema.
    pub fn inbox(store: &Store, judges: bool) -> PgInbox {
        PgInbox::new(Arc::new(Self { store: store.clone(), judges }))
    }
}

#[async_trait]
impl Consumer for Board {
    fn group(&self) -> &'static str {
        Self::GROUP
    }

    fn source(&self) -> &'static str {
        orders_api::NAME
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn locks(&self, batch: &[Envelope]) -> Locks {
        Locks::none().and("order", batch.iter().map(|event| event.subject.as_str()))
    }

    async fn apply(&self, write: &mut Write, batch: &[Envelope]) -> Result<Vec<Applied>, StoreError> {
        let mut applied = Vec::new();
        for event in batch {
            let seen: i64 =
                sqlx::query_scalar(SEEN).bind(&event.subject).fetch_one(write.connection()).await?;
            let judged = match Sequenced::judge(seen, event.sequence) {
                _ if !self.judges => Applied::Done,
                Sequenced::Next => Applied::Done,
                Sequenced::Duplicate => Applied::Duplicate,
                Sequenced::Gap => Applied::Gap { seen },
            };
            if judged == Applied::Done {
                let say = sqlx::query(SAY).bind(&event.subject).bind(&event.kind).bind(event.sequence);
                say.execute(write.connection()).await?;
            }
            applied.push(judged);
        }
        Ok(applied)
    }
}

/// Writes down each event it is told; nothing but its position keeps it from writing one twice.
pub struct Tally {
    /// In lab's schema.
    pub store: Store,
    /// Its group.
    pub group: &'static str,
}

impl Tally {
    /// The usual group.
    pub const GROUP: &'static str = "lab.tally";
}

const WRITE: &str = "insert into effect (subject, sequence) select * from unnest($1::text[], $2::int8[])";

#[async_trait]
impl Consumer for Tally {
    fn group(&self) -> &'static str {
        self.group
    }

    fn source(&self) -> &'static str {
        TELLER
    }

    fn store(&self) -> &Store {
        &self.store
    }

    fn locks(&self, _: &[Envelope]) -> Locks {
        Locks::none()
    }

    async fn apply(&self, write: &mut Write, batch: &[Envelope]) -> Result<Vec<Applied>, StoreError> {
        sqlx::query(WRITE)
            .bind(batch.iter().map(|event| event.subject.as_str()).collect::<Vec<_>>())
            .bind(batch.iter().map(|event| event.sequence).collect::<Vec<_>>())
            .execute(write.connection())
            .await?;
        Ok(vec![Applied::Done; batch.len()])
    }
}
