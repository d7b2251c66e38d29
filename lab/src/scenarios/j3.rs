//! J3: events within one process's database, fast, and whole through kill -9.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    time::Duration,
};

use banyan_kernel::stable_hash;
use banyan_lab::stage::{ShopOptions, Stage, until};
use banyan_store::sqlx::{self, PgPool};

use super::{Cast, Row, Shown, member::WRITTEN, own};

pub const ROW: Row = Row {
    name: "J3",
    title: "the in-process bus: effects and position commit in one transaction",
    says: [
        "A process applies 20,000 events; another is killed with -9 five times, each time after it has",
        "written effects and before their position is; in the end each event must have one effect.",
    ],
    without: &[(
        "position-with-effect",
        "effects and position commit apart: what was applied before a kill is applied again, and counted",
    )],
    file: "platform/bus/src/pg_inbox.rs",
    play: |cast| Box::pin(play(cast)),
};

const SUBJECTS: usize = 500;
const FAST_ROUNDS: i64 = 40;
const KILLED_ROUNDS: i64 = 8;
const KILLS: u64 = 5;
const DEADLINE: Duration = Duration::from_secs(60);
const EFFECTS: &str = "select count(*), count(distinct (subject, sequence)) from lab.effect";

async fn play(cast: Cast) -> Shown {
    let stage = Stage::of(super::own_program());
    let shop = stage.shop("shop", ShopOptions::default()).await;
    own::prepare(&shop.superuser()).await;
    let (teller, database) = (own::store(&shop.superuser(), own::TELLER), shop.superuser_pool());
    let url = shop.database_url();
    own::tell(&teller, SUBJECTS, 0, FAST_ROUNDS).await;
    let per_s = speed(&stage, &url, &database).await;
    own::tell(&teller, SUBJECTS, FAST_ROUNDS, KILLED_ROUNDS).await;
    let apart: &[&str] = if cast.without.is_some() { &["--apart"] } else { &[] };
    for kill in 0..KILLS {
        let after = 1 + stable_hash(format!("{}/{kill}", cast.seed).as_bytes()) % 300;
        let after = after.to_string();
        let args = [&["--pause-after", &after][..], apart].concat();
        killed_when_written(member(&stage, &url, &args)).await;
    }
    let last = member(&stage, &url, &[]);
    let told = SUBJECTS as i64 * (FAST_ROUNDS + KILLED_ROUNDS);
    let (all, different) = applied(&database, told).await;
    end(last);
    let figure = format!(
        "{per_s:.0} events/s; {told} events, {KILLS} kills: {all} effects, {} lost, {} doubled",
        told - different,
        all - different
    );
    let whole = different == told && all == told;
    Shown { figure, as_said: if cast.without.is_some() { different == told && all > told } else { whole } }
}

/// How fast a member applies what waits for it.
async fn speed(stage: &Stage, url: &str, database: &PgPool) -> f64 {
    let fast = member(stage, url, &[]);
    let (first, _) = applied(database, 1).await;
    let begun = tokio::time::Instant::now();
    let told = SUBJECTS as i64 * FAST_ROUNDS;
    applied(database, told).await;
    let per_s = (told - first) as f64 / begun.elapsed().as_secs_f64();
    end(fast);
    per_s
}

/// Waits until so many different events have an effect; how many effects there are, and of how many events.
async fn applied(database: &PgPool, events: i64) -> (i64, i64) {
    until(DEADLINE, "the events to be applied", async || {
        let (all, different): (i64, i64) = sqlx::query_as(EFFECTS).fetch_one(database).await.ok()?;
        (different >= events).then_some((all, different))
    })
    .await
}

fn member(stage: &Stage, url: &str, args: &[&str]) -> Child {
    let mut command = stage.command(&[&["member", url], args].concat());
    command.stdout(Stdio::piped()).spawn().expect("lab itself")
}

/// Waits until it says that effects are written, then `kill -9`.
async fn killed_when_written(mut member: Child) {
    let output = member.stdout.take().expect("its output is a pipe");
    let said = tokio::task::spawn_blocking(move || BufReader::new(output).lines().next());
    let said = tokio::time::timeout(DEADLINE, said).await.expect("a member that writes").expect("a thread");
    assert!(said.is_some_and(|line| line.is_ok_and(|line| line == WRITTEN)), "a member that says so");
    end(member);
}

/// `kill -9`.
fn end(mut member: Child) {
    member.kill().and_then(|()| member.wait()).expect("a child of ours");
}
