//! Members share a group's slots; a dead one's are taken over, and a zombie is refused.

use banyan_kernel::slot_of;
use banyan_store::{StoreError, sqlx};
use uuid::Uuid;

use super::{
    Harness, Ledger, Member,
    delivery::{applied, assert_whole, ledger},
    effects,
    harness::{tell_each, until},
};

const HOLDERS: &str = "select count(distinct holder) from slot where holder is not null \
     having count(holder) = (select count(*) from slot)";
/// The others may have moved: nothing is told of them, and a carrier may say so.
const MOVED: &str =
    "select count(*) from slot where slot = $1 and (source_epoch, source_xid, source_seq) > (0, '0', 0)";
/// What a takeover does, by somebody who never comes back.
const TAKE_ALL: &str = "update slot set holder = $1, epoch = epoch + 1";

async fn holders(harness: &impl Harness) -> Result<i64, StoreError> {
    let holders: Option<i64> = sqlx::query_scalar(HOLDERS).fetch_optional(harness.sink().pool()).await?;
    Ok(holders.unwrap_or(0))
}

/// Two members hold slots; one is killed under load, the other goes on where it stood.
///
/// # Panics
/// When the bus breaks its word.
pub async fn two_members_share_and_the_others_slots_are_taken_over(harness: &impl Harness) {
    let (ledger, subjects) = (ledger(harness), ["a", "b", "c", "d", "e", "f"]);
    let (one, other) = (Member::start(harness, &ledger), Member::start(harness, &ledger));
    until("both hold slots", || async { Ok(holders(harness).await? == 2) }).await;
    for subject in subjects {
        tell_each(harness.teller(), subject, 1..=10).await;
    }
    one.kill().await;
    for subject in subjects {
        tell_each(harness.teller(), subject, 11..=20).await;
    }
    applied(&ledger, 120).await;
    until("one holds all", || async { Ok(holders(harness).await? == 1) }).await;
    other.stop().await;
    assert_whole(&ledger, &subjects, 20).await;
}

/// Serves until the consumer has written its effects and has not returned.
async fn stopped_in_the_middle(harness: &impl Harness, ledger: &std::sync::Arc<Ledger>) -> Member {
    ledger.set_gate(false);
    let member = Member::start(harness, ledger);
    tell_each(harness.teller(), "a", 1..=1).await;
    ledger.stands(1).await;
    member
}

/// A process that dies after the effects were written and before the position was leaves nothing.
///
/// # Panics
/// When the bus breaks its word.
pub async fn a_crash_between_effect_and_position_leaves_neither(harness: &impl Harness) {
    let ledger = ledger(harness);
    stopped_in_the_middle(harness, &ledger).await.kill().await;
    ledger.set_gate(true);
    assert_eq!(effects(&ledger).await, [], "an effect without its position");
    let moved = sqlx::query_scalar::<_, i64>(MOVED).bind(slot_of("a") as i16);
    let moved = moved.fetch_one(harness.sink().pool()).await;
    assert_eq!(moved.expect("the sink can be read"), 0, "a position without its effect");
    let next = Member::start(harness, &ledger);
    tell_each(harness.teller(), "a", 2..=3).await;
    applied(&ledger, 3).await;
    next.stop().await;
    assert_whole(&ledger, &["a"], 3).await;
}

/// A member that was thought dead and comes to in the middle of a write cannot finish it.
///
/// # Panics
/// When the bus breaks its word.
pub async fn a_zombies_write_is_refused(harness: &impl Harness) {
    let ledger = ledger(harness);
    let member = stopped_in_the_middle(harness, &ledger).await;
    let taken = sqlx::query(TAKE_ALL).bind(Uuid::from_u128(1)).execute(harness.sink().pool()).await;
    taken.expect("the sink can be written");
    ledger.set_gate(true);
    // It finds the slots without a living holder, takes them anew, and applies the event in a later call.
    applied(&ledger, 1).await;
    tell_each(harness.teller(), "a", 2..=2).await;
    applied(&ledger, 2).await;
    member.stop().await;
    assert_whole(&ledger, &["a"], 2).await;
    let by_zombie = effects(&ledger).await.into_iter().find(|effect| effect.call == 0);
    assert_eq!(by_zombie, None, "the write of the old epoch was committed");
}
