//! What every bus is held to: the cases of the conformance suite, over a small [`Harness`].
//!
//! A bus's own tests implement [`Harness`] and name the suite once: `banyan_bus::conformance!(MAKE)`, where
//! `MAKE` is an expression that gives a new harness, databases and all, for each case. A case panics where
//! the bus breaks its word.

mod delivery;
mod failures;
mod harness;
mod ledger;
mod lossy;
mod owners;

pub use delivery::*;
pub use failures::*;
pub use harness::{Harness, Member, OPTIONS, OWNERSHIP, tell, told, until};
pub use ledger::{BREAKS, COUNTED, Effect, KILLS, Ledger, POISON, SINK, TELLER, effects, schemas};
pub use lossy::Lossy;
pub use owners::*;

/// All cases of the suite as tests of their own, each on a new harness.
#[macro_export]
macro_rules! conformance {
    ($make:expr) => {
        $crate::conformance! { $make =>
            order_is_kept_per_key
            xids_follow_versions
            a_lower_xid_that_commits_late_is_not_skipped
            duplicates_have_no_effect
            unknown_types_are_skipped_and_counted
            a_slow_consumer_holds_one_page
            a_broadcast_reaches_every_receiver_from_now_on
            a_receiver_that_lags_is_told
            a_raised_epoch_under_load_loses_nothing
            a_gap_that_is_filled_late_is_waited_for
            a_gap_of_the_carrier_is_filled_from_the_source
            a_gap_that_nobody_fills_parks_its_key_until_it_is_dropped
            a_poison_event_parks_its_key_until_it_is_replayed
            a_dropped_letter_lets_the_rest_be_replayed
            a_replay_and_new_events_of_its_key_keep_their_order
            nothing_queues_behind_a_letter_that_is_gone
            only_the_guilty_event_of_fifty_is_parked
            what_is_unavailable_pauses_its_slot_alone
            an_event_that_kills_the_process_is_parked
            two_members_share_and_the_others_slots_are_taken_over
            a_crash_between_effect_and_position_leaves_neither
            a_zombies_write_is_refused
        }
    };
    ($make:expr => $($case:ident)+) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                $crate::testing::$case(&$make.await).await;
            }
        )+
    };
}
