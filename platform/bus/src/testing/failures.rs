//! What cannot be applied: waited for, set aside with its key, replayed or dropped.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::Ordering},
};

use banyan_kernel::slot_of;
use banyan_store::StoreError;

use super::{
    BREAKS, COUNTED, Harness, KILLS, Ledger, Member, POISON,
    delivery::{applied, assert_whole, ledger},
    effects,
    harness::{letters, tell, tell_each, told, until},
};
use crate::{DeadLetter, DeadLetterError, Decision};

fn decision() -> Decision {
    Decision::new("staff:ada", "seen to").expect("both are given")
}

/// Waits until so many letters are there, and gives them.
async fn parked(harness: &impl Harness, ledger: &Arc<Ledger>, count: usize) -> Vec<DeadLetter> {
    let letters = letters(harness, ledger);
    let are_there = || async { Ok::<_, StoreError>(letters.list().await?.len() >= count) };
    until(&format!("{count} letters are parked"), are_there).await;
    letters.list().await.expect("the sink can be read")
}

fn sequences(letters: &[DeadLetter]) -> Vec<(i64, bool)> {
    letters.iter().map(|letter| (letter.event.sequence, letter.reason.is_some())).collect()
}

/// An event comes before its predecessor, which is told while it is waited for.
///
/// # Panics
/// When the bus breaks its word.
pub async fn a_gap_that_is_filled_late_is_waited_for(harness: &impl Harness) {
    let ledger = ledger(harness);
    let member = Member::start(harness, &ledger);
    tell(harness.teller(), &[told("a", 1, COUNTED), told("a", 3, COUNTED)]).await;
    let gaps = || member.counters.gaps.load(Ordering::Relaxed);
    until("the gap is seen", || async { Ok(gaps() > 0) }).await;
    tell_each(harness.teller(), "a", 2..=2).await;
    tell_each(harness.teller(), "a", 4..=5).await;
    applied(&ledger, 5).await;
    member.stop().await;
    assert_whole(&ledger, &["a"], 5).await;
    assert_eq!(parked(harness, &ledger, 0).await, []);
}

/// What the carrier lost, the source still has. Other subjects of the slot do not wait.
///
/// # Panics
/// When the bus breaks its word.
pub async fn a_gap_of_the_carrier_is_filled_from_the_source(harness: &impl Harness) {
    let ledger = ledger(harness);
    let neighbour = neighbour_of("a");
    for lost in 2..=3 {
        harness.lose("a", lost);
    }
    let member = Member::start(harness, &ledger);
    tell_each(harness.teller(), "a", 1..=5).await;
    tell_each(harness.teller(), &neighbour, 1..=3).await;
    applied(&ledger, 8).await;
    member.stop().await;
    assert_whole(&ledger, &["a"], 5).await;
    assert_whole(&ledger, &[&neighbour], 3).await;
    assert_eq!(parked(harness, &ledger, 0).await, []);
}

/// Another subject in the same slot.
fn neighbour_of(subject: &str) -> String {
    let names = (0..).map(|n| format!("n{n}"));
    names.into_iter().find(|name| slot_of(name) == slot_of(subject)).expect("there are many names")
}

/// What not even the source has is a dead letter; its drop passes what is missing.
///
/// # Panics
/// When the bus breaks its word.
pub async fn a_gap_that_nobody_fills_parks_its_key_until_it_is_dropped(harness: &impl Harness) {
    let ledger = ledger(harness);
    let member = Member::start(harness, &ledger);
    tell(harness.teller(), &[told("a", 1, COUNTED), told("a", 4, COUNTED), told("a", 5, COUNTED)]).await;
    let found = parked(harness, &ledger, 2).await;
    assert_eq!(sequences(&found), [(4, true), (5, false)]);
    assert!(found[0].reason.as_deref().is_some_and(|why| why.contains("no event 2")), "{found:?}");
    let letters = letters(harness, &ledger);
    let again = letters.replay("a", &decision()).await;
    assert!(matches!(again, Err(DeadLetterError::FailsAgain { replayed: 0, .. })), "{again:?}");
    letters.drop_letter("a", found[0].place, &decision()).await.expect("the oldest can be dropped");
    assert_eq!(letters.replay("a", &decision()).await.expect("5 follows 4"), 1);
    tell_each(harness.teller(), "a", 6..=6).await;
    applied(&ledger, 3).await;
    member.stop().await;
    let applied: Vec<i64> = effects(&ledger).await.iter().map(|effect| effect.sequence).collect();
    assert_eq!(applied, [1, 5, 6]);
}

/// A poison event and all of its key wait; the slot's other keys do not; a replay applies them in order.
///
/// # Panics
/// When the bus breaks its word.
pub async fn a_poison_event_parks_its_key_until_it_is_replayed(harness: &impl Harness) {
    let ledger = ledger(harness);
    let neighbour = neighbour_of("a");
    let member = Member::start(harness, &ledger);
    tell(harness.teller(), &[told("a", 1, COUNTED), told("a", 2, POISON)]).await;
    tell_each(harness.teller(), "a", 3..=4).await;
    tell_each(harness.teller(), &neighbour, 1..=5).await;
    let found = parked(harness, &ledger, 3).await;
    assert_eq!(sequences(&found), [(2, true), (3, false), (4, false)]);
    assert_eq!(found[0].attempts, 3, "tried three times, once each way");
    applied(&ledger, 6).await;
    assert_whole(&ledger, &[&neighbour], 5).await;
    let letters = letters(harness, &ledger);
    let ill = letters.replay("a", &decision()).await;
    assert!(matches!(ill, Err(DeadLetterError::FailsAgain { replayed: 0, .. })), "{ill:?}");
    ledger.heal();
    assert_eq!(letters.replay("a", &decision()).await.expect("it is healed"), 3);
    tell_each(harness.teller(), "a", 5..=5).await;
    applied(&ledger, 10).await;
    member.stop().await;
    assert_whole(&ledger, &["a"], 5).await;
    assert_eq!(parked(harness, &ledger, 0).await, []);
}

/// A dropped event has no effect and does not hold up those after it; only the oldest can be dropped.
///
/// # Panics
/// When the bus breaks its word.
pub async fn a_dropped_letter_lets_the_rest_be_replayed(harness: &impl Harness) {
    let ledger = ledger(harness);
    let member = Member::start(harness, &ledger);
    tell(harness.teller(), &[told("a", 1, POISON), told("a", 2, COUNTED)]).await;
    let found = parked(harness, &ledger, 2).await;
    let letters = letters(harness, &ledger);
    let second = letters.drop_letter("a", found[1].place, &decision()).await;
    assert!(matches!(second, Err(DeadLetterError::NotOldest(_))), "{second:?}");
    letters.drop_letter("a", found[0].place, &decision()).await.expect("the oldest can be dropped");
    tell_each(harness.teller(), "a", 3..=3).await;
    let behind = parked(harness, &ledger, 2).await;
    assert_eq!(sequences(&behind), [(2, false), (3, false)], "the key stays parked until it is replayed");
    assert_eq!(letters.replay("a", &decision()).await.expect("they are sound"), 2);
    member.stop().await;
    let applied: Vec<i64> = effects(&ledger).await.iter().map(|effect| effect.sequence).collect();
    assert_eq!(applied, [2, 3]);
}

/// Events that are told while their key is replayed neither overtake nor get lost.
///
/// # Panics
/// When the bus breaks its word.
pub async fn a_replay_and_new_events_of_its_key_keep_their_order(harness: &impl Harness) {
    let ledger = ledger(harness);
    let member = Member::start(harness, &ledger);
    tell(harness.teller(), &[told("a", 1, POISON)]).await;
    tell_each(harness.teller(), "a", 2..=10).await;
    parked(harness, &ledger, 10).await;
    ledger.heal();
    let letters = letters(harness, &ledger);
    let decision = decision();
    let telling = tell_each(harness.teller(), "a", 11..=60);
    let replaying = async {
        while effects(&ledger).await.len() < 60 {
            match letters.replay("a", &decision).await {
                Ok(_) | Err(DeadLetterError::Store(_)) => {}
                Err(other) => panic!("a sound letter fails: {other}"),
            }
        }
    };
    tokio::join!(telling, replaying);
    member.stop().await;
    assert_whole(&ledger, &["a"], 60).await;
    assert_eq!(parked(harness, &ledger, 0).await, []);
}

/// A batch that puts an event behind the last letter and a replay of that letter: one waits for the other,
/// so that no event stays parked behind nothing.
///
/// # Panics
/// When the bus breaks its word.
pub async fn nothing_queues_behind_a_letter_that_is_gone(harness: &impl Harness) {
    let ledger = ledger(harness);
    ledger.lock_nothing();
    let slow = neighbour_of("a");
    let member = Member::start(harness, &ledger);
    tell(harness.teller(), &[told("a", 1, POISON)]).await;
    parked(harness, &ledger, 1).await;
    settled(harness).await;
    ledger.heal();
    ledger.close_gate_for(&slow);
    tell(harness.teller(), &[told("a", 2, COUNTED), told(&slow, 1, COUNTED)]).await;
    ledger.stands(1).await;
    let letters = letters(harness, &ledger);
    // While the batch is open: refused by the time limit of locks, or after the batch was. A carrier may bring the two one by
    // one: then both stand in the queue.
    let first = letters.replay("a", &decision()).await;
    assert!(matches!(first, Ok(1 | 2) | Err(DeadLetterError::Store(_))), "{first:?}");
    ledger.set_gate(true);
    until("the neighbour is applied", || async { Ok(has(&ledger, &slow, 1).await) }).await;
    if first.is_err() {
        letters.replay("a", &decision()).await.expect("it is healed");
    }
    until("the second is applied", || async { Ok(has(&ledger, "a", 2).await) }).await;
    member.stop().await;
    assert_whole(&ledger, &["a"], 2).await;
}

async fn has(ledger: &Ledger, subject: &str, sequence: i64) -> bool {
    effects(ledger).await.iter().any(|effect| effect.subject == subject && effect.sequence == sequence)
}

/// Waits until the slots have been read to the end, so that the careful beginning is over.
async fn settled(harness: &impl Harness) {
    let reads = harness.reads();
    until("the source was read to its end", || async { Ok(harness.reads() >= reads + 4) }).await;
}

/// Of a batch in which one statement fails, every other event is applied.
///
/// # Panics
/// When the bus breaks its word.
pub async fn only_the_guilty_event_of_fifty_is_parked(harness: &impl Harness) {
    let ledger = ledger(harness);
    // A carrier may bring them in pieces: each round has names of its own, until one came together.
    let events = |round: usize, sequence, guilty| {
        let kind = move |n| if n == guilty { BREAKS } else { COUNTED };
        (0..50).map(move |n| told(&format!("r{round}s{n}"), sequence, kind(n))).collect::<Vec<_>>()
    };
    let member = Member::start(harness, &ledger);
    let mut guilty = Vec::new();
    while ledger.largest_batch_events() < 25 {
        let round = guilty.len();
        assert!(round < 20, "they came one by one: nothing was shown");
        tell(harness.teller(), &events(round, 1, usize::MAX)).await;
        applied(&ledger, 99 * round + 50).await;
        settled(harness).await;
        tell(harness.teller(), &events(round, 2, 13)).await;
        guilty.push(format!("r{round}s13"));
        applied(&ledger, 99 * guilty.len()).await;
    }
    let found = parked(harness, &ledger, guilty.len()).await;
    member.stop().await;
    let found: BTreeSet<&str> = found.iter().map(|letter| letter.key.as_str()).collect();
    assert_eq!(found, guilty.iter().map(String::as_str).collect());
    assert_eq!(effects(&ledger).await.len(), 99 * guilty.len());
}

/// What cannot be done now pauses its slot, is no attempt, and goes on by itself.
///
/// # Panics
/// When the bus breaks its word.
pub async fn what_is_unavailable_pauses_its_slot_alone(harness: &impl Harness) {
    let ledger = ledger(harness);
    let other = (0..).map(|n| format!("o{n}")).find(|name| slot_of(name) != slot_of("a"));
    let other = other.expect("there are many names");
    ledger.set_away("a", true);
    let member = Member::start(harness, &ledger);
    tell_each(harness.teller(), "a", 1..=5).await;
    tell_each(harness.teller(), &other, 1..=5).await;
    applied(&ledger, 5).await;
    assert_whole(&ledger, &[&other], 5).await;
    let pauses = || member.counters.pauses.load(Ordering::Relaxed);
    until("it was paused more often than there are attempts", || async { Ok(pauses() > 5) }).await;
    ledger.set_away("a", false);
    applied(&ledger, 10).await;
    member.stop().await;
    assert_whole(&ledger, &["a"], 5).await;
    assert_eq!(parked(harness, &ledger, 0).await, []);
}

/// An event during which the process dies, each time, is found and parked; the rest goes on.
///
/// # Panics
/// When the bus breaks its word.
pub async fn an_event_that_kills_the_process_is_parked(harness: &impl Harness) {
    let ledger = ledger(harness);
    tell(harness.teller(), &[told("a", 1, COUNTED), told("a", 2, KILLS), told("b", 1, COUNTED)]).await;
    let letters = letters(harness, &ledger);
    let mut survivor = Member::start(harness, &ledger);
    for deaths in 1.. {
        let is_over = || async { Ok(ledger.stood() >= deaths || !letters.list().await?.is_empty()) };
        until("it dies or parks", is_over).await;
        if ledger.stood() < deaths {
            break;
        }
        survivor.kill().await;
        // The first death is not counted if the event came later than the slot's careful beginning.
        assert!(deaths <= 4, "it was tried after three counted deaths");
        survivor = Member::start(harness, &ledger);
    }
    let found = parked(harness, &ledger, 1).await;
    assert_eq!(sequences(&found), [(2, true)]);
    tell_each(harness.teller(), "b", 2..=3).await;
    applied(&ledger, 4).await;
    survivor.stop().await;
    assert!(ledger.stood() >= 3, "it was parked before three deaths");
    assert_whole(&ledger, &["b"], 3).await;
}
