//! D5: each event has one effect, whoever is killed, whatever comes twice, whoever comes back from the dead.

use std::time::Duration;

use banyan_kafka::{begin_anew, republish};
use banyan_kernel::stable_hash;
use banyan_lab::stage::until;

use super::{
    Cast, Row, Shown,
    carried::{DEADLINE, IN_HAND, Member, Table, WRITTEN, applied},
    own,
};

pub const ROW: Row = Row {
    name: "D5",
    title: "exactly-once effects on Kafka: the position commits with the effects, under the slot's epoch",
    says: [
        "A consumer is killed with -9 three times amid its effects and the relay once; then all is published a second time and read from",
        "its beginning; then one is frozen with a batch in hand, outlived, and wakes. In the end each event must have one effect.",
    ],
    without: &[
        (
            "inbox",
            "effects and position commit apart: what was applied before a kill, and what the one who wakes has in hand, is counted again",
        ),
        (
            "epoch",
            "who takes a slot over does not raise its epoch: the one who wakes writes what was written, and nobody refuses it",
        ),
    ],
    file: "platform/bus/src/pg_inbox.rs",
    play: |cast| Box::pin(play(cast)),
};

const SUBJECTS: usize = 100;
const ROUNDS: i64 = 20;
const LATER_ROUNDS: i64 = 4;
const KILLS: u64 = 3;
const GROUP: &str = "lab.d5";

/// Lab's own schema, without what fences: an epoch that never rises.
const NO_EPOCH: &str = "create function lab.stays() returns trigger language plpgsql as \
     $$ begin new.epoch := old.epoch; return new; end $$; \
     create trigger stays before update of epoch on lab.slot for each row execute function lab.stays()";

async fn play(cast: Cast) -> Shown {
    let table = match Table::lay().await {
        Ok(table) => table,
        Err(shown) => return shown,
    };
    if cast.without == Some("epoch") {
        table.change(NO_EPOCH).await;
    }
    let apart: &[&str] = if cast.without == Some("inbox") { &["--swift", "--apart"] } else { &["--swift"] };
    own::tell(&table.teller, SUBJECTS, 0, ROUNDS).await;
    let (relay, member) = killed(&table, cast.seed, apart).await;
    table.heard(told(0)).await;
    say(&table, "killed", told(0)).await;
    let records = told_again(&table).await;
    say(&table, "told again", told(1)).await;
    assert!(member.leave().await.is_some(), "a member's last words");
    let refused = outlived(&table, apart).await;
    let told = told(1 + LATER_ROUNDS);
    let written = say(&table, "outlived", told).await;
    relay.leave().await;
    let figure = format!(
        "{told} events, {records} records of {} of them, {KILLS} consumers and a relay killed, one outlived (its write {}): {}",
        SUBJECTS as i64 * ROUNDS,
        if refused { "refused" } else { "TAKEN" },
        written.in_words(told)
    );
    let doubled = written.events == told && written.effects > told;
    let as_said = if cast.without.is_some() { doubled } else { written.is_whole(told) && refused };
    Shown { figure, as_said }
}

/// How many events were told, so many rounds after the first ones.
fn told(later_rounds: i64) -> i64 {
    SUBJECTS as i64 * (ROUNDS + later_rounds)
}

async fn say(table: &Table, after: &str, told: i64) -> super::carried::Written {
    let written = table.written().await;
    println!("    {after}: {}", written.in_words(told));
    written
}

/// Consumers that die between an effect and its position, and a relay amid all that; who goes on in the end.
async fn killed(table: &Table, seed: u64, args: &[&str]) -> (Member, Member) {
    let relay = table.relay();
    for kill in 0..KILLS {
        let after = (1 + stable_hash(format!("{seed}/{kill}").as_bytes()) % 300).to_string();
        let mut member = table.member(GROUP, &[args, &["--pause-after", &after]].concat());
        member.says(WRITTEN).await;
        member.kill9().await;
    }
    relay.kill9().await;
    (table.relay(), table.member(GROUP, args))
}

/// The relay publishes its whole outbox a second time, and the consumer reads its topic from the beginning: who has heard
/// what is told after that has been told all the rest again.
async fn told_again(table: &Table) -> i64 {
    let twice = 2 * SUBJECTS as i64 * ROUNDS;
    republish(&table.teller, own::TELLER).await.expect("the relay's positions are rows");
    let records = until(DEADLINE, "all to be published again", async || {
        table.records().await.filter(|records| *records >= twice)
    })
    .await;
    let hears = own::store(&table.shop.superuser(), own::LAB);
    begin_anew(&hears, GROUP).await.expect("the consumer's positions are rows");
    own::tell(&table.teller, SUBJECTS, ROUNDS, 1).await;
    table.heard(told(1)).await;
    records
}

/// A member is frozen with a batch in hand, another takes over and applies it, and then the first one goes on. Whether
/// its write was refused.
async fn outlived(table: &Table, args: &[&str]) -> bool {
    let mut zombie = table.member(GROUP, &[args, &["--held"]].concat());
    until(DEADLINE, "it to hold all", async || (table.shares(GROUP).await.len() == 1).then_some(())).await;
    own::tell(&table.teller, SUBJECTS, ROUNDS + 1, LATER_ROUNDS).await;
    zombie.says(IN_HAND).await;
    zombie.freeze(true);
    let successor = table.member(GROUP, args);
    table.heard(told(1 + LATER_ROUNDS)).await;
    // It writes what it has in hand before it hears that it is to leave.
    zombie.go().await;
    zombie.freeze(false);
    let said = tokio::time::timeout(Duration::from_secs(30), zombie.leave()).await.expect("it leaves");
    successor.leave().await;
    said == Some(applied(0))
}
