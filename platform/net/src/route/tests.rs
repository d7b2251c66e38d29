//! Routes between two sides that say who they are.

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering::SeqCst},
};
use std::time::Duration;

use banyan_kernel::{Actor, CommandId, Context, OrderId, TraceParent};
use serde_json::json;
use tokio::sync::Notify;
use uuid::Uuid;

use super::*;

/// Sends keys that begin so elsewhere.
struct Beginning(char, Choice);

impl Switch for Beginning {
    fn choose(&self, _: &'static str, key: Option<&str>) -> Choice {
        if key.is_some_and(|key| key.starts_with(self.0)) { self.1 } else { Choice::Local }
    }
}

type Log = Arc<Mutex<Vec<(&'static str, usize)>>>;

fn gauge() -> Arc<Gauge> {
    Arc::new(Gauge::of("tests"))
}

fn route<S: Clone + Send + Sync + 'static>(
    here: S,
    there: S,
    choice: Choice,
    gauge: &Arc<Gauge>,
) -> Route<S> {
    Route::new("tests", here, there, (Arc::new(Beginning('a', choice)), gauge.clone()))
}

async fn asked(log: Log, side: &'static str, items: Vec<&'static str>) -> Vec<Answer<String>> {
    log.lock().expect("a log").push((side, items.len()));
    items.into_iter().map(|item| Answer::Done(format!("{side}:{item}"))).collect()
}

#[tokio::test]
async fn a_batch_is_split_by_key_and_answered_in_its_order() {
    let (gauge, log) = (gauge(), Log::default());
    let route = route("here", "there", Choice::Remote, &gauge);
    let items = vec!["ab", "x", "ac", "y", "z"];
    let answers =
        route.each(items, |item| (*item).to_owned(), |side, items| asked(log.clone(), side, items)).await;
    let said: Vec<String> = answers
        .into_iter()
        .filter_map(|answer| if let Answer::Done(said) = answer { Some(said) } else { None })
        .collect();
    assert_eq!(said, ["there:ab", "here:x", "there:ac", "here:y", "here:z"]);
    let mut log = log.lock().expect("a log").clone();
    log.sort_unstable();
    assert_eq!(log, [("here", 3), ("there", 2)], "each side is asked once");
    assert_eq!([Side::Here, Side::There].map(|side| gauge.counts(side).items), [3, 2]);
}

#[tokio::test]
async fn who_answers_too_few_is_asked_again_for_the_rest() {
    let gauge = gauge();
    let route = route((), (), Choice::Remote, &gauge);
    let answers = route
        .each(vec!["ab", "ac"], |item| (*item).to_owned(), |(), _| async { vec![Answer::Done(1)] })
        .await;
    assert_eq!(answers[0], Answer::Done(1));
    assert!(matches!(answers[1], Answer::Unavailable(_)));
    assert_eq!(gauge.counts(Side::There).failed, 1);
}

#[tokio::test]
async fn the_commands_of_one_order_go_one_way() {
    let gauge = gauge();
    let route = route("here", "there", Choice::Remote, &gauge);
    let context = Context { actor: Actor::system("tests"), trace: TraceParent::root(Uuid::nil()) };
    let order = OrderId(Uuid::from_u128(0xa << 124));
    let command =
        |step: &str| Command { id: CommandId::new(order, step, 1), context: context.clone(), body: () };
    let answers = route
        .batch(vec![command("reserve"), command("confirm")], |side, batch| async move {
            batch.into_iter().map(|_| Answer::Done(side)).collect()
        })
        .await;
    assert_eq!(answers, [Answer::Done("there"), Answer::Done("there")]);
}

/// Two numbers, one for each side, and what waits for a comparison.
struct Numbers {
    sides: [AtomicU64; 2],
    compared: Notify,
}

async fn shadowed(here: u64, there: u64, moves: bool) -> (Compared, Vec<Difference>) {
    let numbers =
        Arc::new(Numbers { sides: [AtomicU64::new(here), AtomicU64::new(there)], compared: Notify::new() });
    let gauge = gauge();
    let route = route(0_usize, 1_usize, Choice::Shadow, &gauge);
    let asked = numbers.clone();
    let said: Answer<Value> = route
        .read("number", Some("a"), (), move |side, ()| {
            let asked = asked.clone();
            async move {
                let number = asked.sides[side].load(SeqCst);
                if moves && side == 0 {
                    asked.sides[0].fetch_add(1, SeqCst);
                }
                asked.compared.notify_one();
                Answer::Done(json!({"of": [number]}))
            }
        })
        .await;
    assert_eq!(said, Answer::Done(json!({"of": [here]})), "whoever asks gets our own answer");
    tokio::time::timeout(Duration::from_secs(10), async {
        while gauge.shadowed() == Compared::default() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("a comparison");
    (gauge.shadowed(), gauge.differences())
}

#[tokio::test]
async fn a_shadow_is_compared_and_tells_where_and_not_what() {
    let (compared, _) = shadowed(1, 1, false).await;
    assert_eq!((compared.same, compared.different), (1, 0));
    let (compared, differences) = shadowed(1, 2, false).await;
    assert_eq!((compared.same, compared.different), (0, 1));
    assert_eq!(differences, [Difference { operation: "number", places: vec!["/done/of/0".to_owned()] }]);
    let (compared, differences) = shadowed(1, 9, true).await;
    assert_eq!((compared.moved, compared.different), (1, 0), "what changes meanwhile is no difference");
    assert_eq!(differences, []);
}

/// The permits are what bounds the load of shadows: who cannot have one is not asked there, and the asker never waits.
#[tokio::test]
async fn more_shadows_than_there_is_room_for_are_shed() {
    let (gauge, go_on) = (gauge(), Arc::new(Notify::new()));
    let route = route(false, true, Choice::Shadow, &gauge);
    for _ in 0..SHADOWS_MAX + 3 {
        let go_on = go_on.clone();
        let said: Answer<u8> = route
            .read("slow", Some("a"), (), move |is_there, ()| {
                let go_on = go_on.clone();
                async move {
                    if is_there {
                        go_on.notified().await;
                    }
                    Answer::Done(1)
                }
            })
            .await;
        assert_eq!(said, Answer::Done(1));
    }
    assert_eq!(gauge.shadowed().shed, 3);
}

/// A change is made on one side, whatever the switch says.
#[tokio::test]
async fn what_changes_something_has_no_shadow() {
    let (gauge, asked) = (gauge(), Arc::new(AtomicU64::new(0)));
    let route = route((), (), Choice::Shadow, &gauge);
    let counted = asked.clone();
    let done: Answer<()> = route
        .change(Some("a"), (), move |(), ()| async move {
            counted.fetch_add(1, SeqCst);
            Answer::Done(())
        })
        .await;
    assert_eq!((done, asked.load(SeqCst)), (Answer::Done(()), 1));
    assert_eq!(gauge.counts(Side::There), Counts::NONE);
}

#[test]
fn a_percentile_is_told_to_a_half_of_it() {
    let counts = Counts::NONE.with(99, 0, Duration::from_millis(2)).with(1, 0, Duration::from_millis(300));
    let near = |told: Option<Duration>, took: u64| {
        let (told, took) = (told.expect("something was asked").as_secs_f64(), took as f64 / 1_000.0);
        assert!(told >= took && told <= took * 1.5, "{told} for {took}");
    };
    near(counts.percentile(50), 2);
    near(counts.percentile(99), 2);
    near(counts.percentile(100), 300);
    assert_eq!(Counts::NONE.percentile(99), None);
}
