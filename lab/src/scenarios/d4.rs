//! D4: a group of one, two, four and eight processes on one topic; who dies, who joins, and a storm of both.

use std::time::Duration;

use banyan_lab::stage::{process::Process, until};
use banyan_store::sqlx;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    Cast, Row, Shown,
    carried::{DEADLINE, IN_HAND, Member, Table},
    own,
};

pub const ROW: Row = Row {
    name: "D4",
    title: "consumer groups on Kafka: scaled out, outlived, rebalanced, and a storm of all that",
    says: [
        "10,000 events go the whole way; then 1, 2, 4 and 8 processes each drain them, at 0.2 ms of work for one; then events flow, one of",
        "two is killed with -9, one joins, and for 20 s members come, leave and die: nothing may be lost, doubled or out of order.",
    ],
    without: &[],
    file: "platform/store/src/slots.rs",
    play: |cast| Box::pin(play(cast)),
};

const SUBJECTS: usize = 100;
const ROUNDS: i64 = 100;
/// What mission and README promise.
const GOAL_PER_MINUTE: f64 = 10_000.0;
const SIZES: [usize; 4] = [1, 2, 4, 8];
const STORM: Duration = Duration::from_secs(20);
/// Between two rounds of the flow: 1,000 events a second.
const BEAT: Duration = Duration::from_millis(100);
const GROUP: &str = "lab.d4";

/// Slots that somebody else than before has taken and moved on, of those in `$2`, by who takes a slot raises its epoch.
const MOVED: &str = "select count(*) from lab.slot s join unnest($2::int2[], $3::int8[], $4::int8[]) t(slot, epoch, xid) \
     on s.slot = t.slot where s.group_name = $1 and s.holder is not null and s.epoch > t.epoch and s.source_xid::text::int8 > t.xid";
const STANDS: &str =
    "select slot, epoch, source_xid::text::int8 from lab.slot where group_name = $1 order by slot";

async fn play(cast: Cast) -> Shown {
    let table = match Table::lay().await {
        Ok(table) => table,
        Err(shown) => return shown,
    };
    let relay = table.relay();
    let whole_way = whole_way(&table, &relay).await;
    println!("    {whole_way}");
    let mut drained = Vec::new();
    for size in SIZES {
        drained.push(format!("{size}: {:.0}", drain(&table, size).await));
    }
    let drained = format!("events/s by members: {}", drained.join(", "));
    println!("    {drained}");
    let (changes, told) = changes(&table, cast.seed).await;
    let written = table.written().await;
    relay.leave().await;
    let figure = format!("{whole_way}; {drained}; {changes}; {told} events: {}", written.in_words(told));
    Shown { figure, as_said: written.is_whole(told) }
}

/// From the outbox to an effect, by a relay and one consumer: how many a minute, and what that costs.
async fn whole_way(table: &Table, relay: &Member) -> String {
    let member = table.member("lab.d4.way", &[]);
    spread(table, "lab.d4.way", 1).await;
    let cost = || seconds(relay.process) + seconds(member.process);
    let (begun, before) = (Instant::now(), cost());
    own::tell(&table.teller, SUBJECTS, 0, ROUNDS).await;
    let events = SUBJECTS as i64 * ROUNDS;
    table.heard(events).await;
    let per_minute = events as f64 / begun.elapsed().as_secs_f64() * 60.0;
    let per_ten_thousand = (cost() - before) / events as f64 * 10_000.0;
    member.leave().await;
    format!(
        "{per_minute:.0} events a minute (goal {GOAL_PER_MINUTE:.0}), {per_ten_thousand:.2} CPU-seconds of relay and consumer per 10,000"
    )
}

/// What the process has used so far.
fn seconds(process: Process) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid)).unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect::<Vec<_>>());
    let ticks =
        |at: usize| fields.as_ref().and_then(|all| all.get(at)?.parse::<f64>().ok()).unwrap_or_default();
    // A tick is a hundredth of a second on Linux.
    (ticks(11) + ticks(12)) / 100.0
}

/// Waits until so many members hold a fair share each.
async fn spread(table: &Table, group: &str, members: usize) {
    until(DEADLINE, "the slots to be shared out", async || {
        let shares = table.shares(group).await;
        let most = 8_usize.div_ceil(members) as i64;
        let is_whole = shares.values().sum::<i64>() == 8;
        (shares.len() == members && is_whole && shares.values().all(|share| *share <= most)).then_some(())
    })
    .await;
}

/// How many events a second so many members apply of what waits for them.
async fn drain(table: &Table, size: usize) -> f64 {
    table.wipe().await;
    let group = format!("lab.d4.{size}");
    let mut members: Vec<_> =
        (0..size).map(|_| table.member(&group, &["--gate", "--work-us", "200"])).collect();
    for member in &mut members {
        member.says(IN_HAND).await;
    }
    spread(table, &group, size).await;
    let begun = Instant::now();
    for member in &mut members {
        member.go().await;
    }
    let events = SUBJECTS as i64 * ROUNDS;
    table.heard(events).await;
    let per_s = events as f64 / begun.elapsed().as_secs_f64();
    for member in members {
        member.leave().await;
    }
    per_s
}

/// While events flow: a death, a member more, and the storm. What was seen, and how many events were told in all.
async fn changes(table: &Table, seed: u64) -> (String, i64) {
    table.wipe().await;
    let stop = CancellationToken::new();
    let flowing = tokio::spawn(flow(table.teller.clone(), stop.clone()));
    let mut members = vec![table.member(GROUP, &[]), table.member(GROUP, &[])];
    spread(table, GROUP, 2).await;
    table.heard(SUBJECTS as i64 * ROUNDS).await;
    let died = Instant::now();
    members.remove(0).kill9().await;
    let taken_s = moved(table, 4, died).await;
    let joined = Instant::now();
    members.push(table.member(GROUP, &[]));
    let shared_s = moved(table, 4, joined).await;
    let (stays, changed) = storm(table, members, seed).await;
    stop.cancel();
    let told = SUBJECTS as i64 * flowing.await.expect("a flow that ends");
    let figure = format!(
        "taken over {taken_s:.1} s after kill -9, shared out and going on {shared_s:.1} s after a start; {changed} changes in {} s",
        STORM.as_secs()
    );
    table.heard(told).await;
    stays.leave().await;
    (figure, told)
}

/// Tells a round at each beat; how many rounds there are in the end.
async fn flow(teller: banyan_store::Store, stop: CancellationToken) -> i64 {
    let (mut rounds, mut beat) = (ROUNDS, tokio::time::interval(BEAT));
    while !stop.is_cancelled() {
        beat.tick().await;
        own::tell(&teller, SUBJECTS, rounds, 1).await;
        rounds += 1;
    }
    rounds
}

/// In how many seconds so many slots were taken by another and have gone on.
async fn moved(table: &Table, slots: i64, since: Instant) -> f64 {
    let stood: Vec<(i16, i64, i64)> =
        sqlx::query_as(STANDS).bind(GROUP).fetch_all(&table.database).await.expect("slots are rows");
    let all = |f: fn(&(i16, i64, i64)) -> i64| stood.iter().map(f).collect::<Vec<_>>();
    until(DEADLINE, "slots to go on elsewhere", async || {
        let moved: i64 = sqlx::query_scalar(MOVED)
            .bind(GROUP)
            .bind(stood.iter().map(|(slot, ..)| *slot).collect::<Vec<_>>())
            .bind(all(|(_, epoch, _)| *epoch))
            .bind(all(|(.., xid)| *xid))
            .fetch_one(&table.database)
            .await
            .ok()?;
        (moved >= slots).then_some(())
    })
    .await;
    since.elapsed().as_secs_f64()
}

/// Members come, leave and die; one stays in the end. How many changes there were.
async fn storm(table: &Table, mut members: Vec<Member>, seed: u64) -> (Member, usize) {
    let mut drawn = (0..).map(|n| banyan_kernel::stable_hash(format!("{seed}/{n}").as_bytes()) as usize);
    let (begun, mut changes) = (Instant::now(), 0);
    while begun.elapsed() < STORM {
        let (what, whom, rest) = (draw(&mut drawn), draw(&mut drawn), draw(&mut drawn));
        if members.len() < 2 || (what % 2 == 0 && members.len() < 5) {
            members.push(table.member(GROUP, &[]));
        } else {
            let member = members.swap_remove(whom % members.len());
            if what % 4 == 1 { member.kill9().await } else { drop(member.leave().await) }
        }
        changes += 1;
        // The pace of the storm, not something that is waited for.
        tokio::time::sleep(Duration::from_millis(300 + rest as u64 % 700)).await;
    }
    let stays = table.member(GROUP, &[]);
    for member in members {
        member.leave().await;
    }
    (stays, changes)
}

fn draw(drawn: &mut impl Iterator<Item = usize>) -> usize {
    drawn.next().unwrap_or_default()
}
