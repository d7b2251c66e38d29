//! Judges the two sides of a route against each other, by item. Pure: it is told what was counted.

use std::time::Duration;

use banyan_net::route::Counts;

/// Items of each side before anything good is said of the other.
pub const ITEMS_MIN: u64 = 300;
/// Failures of the other side before anything bad is: one is an accident.
const FAILURES_MIN: u64 = 5;
/// How many more of a hundred items may fail there than here.
const FAILURES_MORE_PERCENT: u64 = 1;
/// How many times as long as here nineteen of twenty items may take there, and what the way itself may add.
const SLOWER_TIMES: u32 = 4;
const SLOWER_BY: Duration = Duration::from_millis(50);

/// What is to be done with a step of a walk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Too little was asked to say.
    Wait(String),
    /// The other side does as well.
    Advance,
    /// It does not.
    TurnBack(String),
}

/// Of what was counted here and there, and of how many answers were different.
#[must_use]
pub fn judge(here: &Counts, there: &Counts, different: u64) -> Verdict {
    if different > 0 {
        return Verdict::TurnBack(format!("{different} answers are not the same on both sides"));
    }
    if fails_more(here, there) {
        let why = format!(
            "of {} items there {} failed, of {} here {}",
            there.items, there.failed, here.items, here.failed
        );
        return Verdict::TurnBack(why);
    }
    if here.items < ITEMS_MIN || there.items < ITEMS_MIN {
        return Verdict::Wait(format!(
            "{} items here and {} there, of {ITEMS_MIN}",
            here.items.min(ITEMS_MIN),
            there.items.min(ITEMS_MIN)
        ));
    }
    let (Some(took_here), Some(took_there)) = (here.percentile(95), there.percentile(95)) else {
        return Verdict::Wait("nothing was asked".to_owned());
    };
    if took_there > took_here * SLOWER_TIMES + SLOWER_BY {
        return Verdict::TurnBack(format!("p95 there is {took_there:?}, here {took_here:?}"));
    }
    Verdict::Advance
}

/// Said as soon as it can be: nobody waits for three hundred of their orders to fail.
fn fails_more(here: &Counts, there: &Counts) -> bool {
    let share = |side: &Counts| side.failed * 1_000 / side.items.max(1);
    there.failed >= FAILURES_MIN && share(there) > share(here) + FAILURES_MORE_PERCENT * 10
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAST: Duration = Duration::from_millis(5);

    fn well(items: u64) -> Counts {
        Counts::NONE.with(items, 0, FAST)
    }

    fn turns_back(here: &Counts, there: &Counts, different: u64) -> bool {
        matches!(judge(here, there, different), Verdict::TurnBack(_))
    }

    #[test]
    fn it_advances_only_when_both_sides_were_asked_enough() {
        assert!(matches!(judge(&well(ITEMS_MIN), &well(ITEMS_MIN - 1), 0), Verdict::Wait(_)));
        assert!(matches!(judge(&well(ITEMS_MIN - 1), &well(ITEMS_MIN), 0), Verdict::Wait(_)));
        assert_eq!(judge(&well(ITEMS_MIN), &well(ITEMS_MIN), 0), Verdict::Advance);
    }

    #[test]
    fn it_turns_back_for_errors_before_it_has_seen_three_hundred() {
        let failing = |failed: u64| Counts::NONE.with(40, failed, FAST);
        assert!(
            matches!(judge(&well(1_000), &failing(FAILURES_MIN - 1), 0), Verdict::Wait(_)),
            "an accident"
        );
        assert!(turns_back(&well(1_000), &failing(FAILURES_MIN), 0));
        let both = Counts::NONE.with(1_000, 150, FAST);
        assert!(!turns_back(&both, &failing(6), 0), "as many fail here");
    }

    #[test]
    fn it_turns_back_for_what_is_slow_and_for_what_is_different() {
        let slow = Counts::NONE.with(ITEMS_MIN, 0, Duration::from_millis(200));
        assert!(turns_back(&well(ITEMS_MIN), &slow, 0));
        let as_the_way_is = Counts::NONE.with(ITEMS_MIN, 0, Duration::from_millis(40));
        assert_eq!(judge(&well(ITEMS_MIN), &as_the_way_is, 0), Verdict::Advance);
        assert!(turns_back(&well(ITEMS_MIN), &well(ITEMS_MIN), 1));
    }
}
