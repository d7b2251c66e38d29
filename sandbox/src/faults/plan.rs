//! `plan`: which fault meets a request.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::Profile;
use crate::digest::Digest;
use crate::step::{Address, Step};

/// The kinds that a profile and a break can name.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Answered with a refusal: a declined card, an undeliverable parcel.
    Refuse,
    /// Done, and never answered.
    Timeout,
    /// Done, and answered after `late_ms`.
    Late,
    /// Done, and answered after `very_late_ms`, when a reservation has expired.
    VeryLate,
    /// Delivered twice at once, as a duplicating proxy does.
    Twice,
    /// Done, and answered 200 with a body that is not JSON.
    Garbage,
    /// Not done: 503, or the connection is reset.
    Down,
}

impl FaultKind {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Refuse, Self::Timeout, Self::Late, Self::VeryLate, Self::Twice, Self::Garbage, Self::Down];

    /// The name in profiles and breaks.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Timeout => "timeout",
            Self::Late => "late",
            Self::VeryLate => "very_late",
            Self::Twice => "twice",
            Self::Garbage => "garbage",
            Self::Down => "down",
        }
    }

    /// The name of the column in `GET /sandbox/faults`: what was met rather than what was planned.
    pub const fn met(self) -> &'static str {
        match self {
            Self::Refuse => "refused",
            Self::Timeout => "timed_out",
            other => other.name(),
        }
    }
}

impl FromStr for FaultKind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|kind| kind.name() == text).ok_or(())
    }
}

/// How the outside world is down.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outage {
    /// Answered 503.
    Unavailable,
    /// The connection is reset.
    Reset,
}

/// What meets one request.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fault {
    /// Done and answered.
    None,
    /// See [`FaultKind::Refuse`].
    Refuse,
    /// See [`FaultKind::Timeout`].
    Timeout,
    /// See [`FaultKind::Late`].
    Late,
    /// See [`FaultKind::VeryLate`].
    VeryLate,
    /// See [`FaultKind::Twice`].
    Twice,
    /// See [`FaultKind::Garbage`].
    Garbage,
    /// See [`FaultKind::Down`].
    Down(Outage),
}

impl Fault {
    /// The kind, if anything goes wrong.
    pub const fn kind(self) -> Option<FaultKind> {
        match self {
            Self::None => None,
            Self::Refuse => Some(FaultKind::Refuse),
            Self::Timeout => Some(FaultKind::Timeout),
            Self::Late => Some(FaultKind::Late),
            Self::VeryLate => Some(FaultKind::VeryLate),
            Self::Twice => Some(FaultKind::Twice),
            Self::Garbage => Some(FaultKind::Garbage),
            Self::Down(_) => Some(FaultKind::Down),
        }
    }
}

/// Draws the fault of a request from its address alone.
///
/// All kinds but `down` depend on (seed, order, step, attempt); `down` on the delivery too, so that a
/// sender that tries again gets through. Whether it is the first delivery, the only one that time-outs
/// and the like apply to, is for the caller to know: that is state, and this is a function.
pub fn plan(seed: u64, profile: &Profile, address: &Address) -> Fault {
    if let Some(outage) = outage(seed, "profile", address, profile.rate(address.step, FaultKind::Down).0) {
        return Fault::Down(outage);
    }
    let drawn = draw(seed, "profile", address).millionth();
    let mut below = 0;
    for kind in FaultKind::ALL {
        if kind == FaultKind::Down {
            continue;
        }
        below += profile.rate(address.step, kind).0;
        if drawn < below {
            return fault_of(kind, address.step);
        }
    }
    Fault::None
}

/// Draws whether a fault of one kind, turned up to a rate for a while, hits this request.
pub(super) fn hit(seed: u64, kind: FaultKind, per_million: u32, address: &Address) -> Fault {
    if kind == FaultKind::Down {
        return outage(seed, "break", address, per_million).map_or(Fault::None, Fault::Down);
    }
    let salt = format!("break {}", kind.name());
    if draw(seed, &salt, address).millionth() < per_million {
        return fault_of(kind, address.step);
    }
    Fault::None
}

fn outage(seed: u64, salt: &str, address: &Address, per_million: u32) -> Option<Outage> {
    if per_million == 0 {
        return None;
    }
    let salt = format!("{salt} down {}", address.delivery);
    let digest = draw(seed, &salt, address);
    (digest.millionth() < per_million)
        .then(|| if digest.coin() { Outage::Unavailable } else { Outage::Reset })
}

fn draw(seed: u64, salt: &str, address: &Address) -> Digest {
    Digest::of(&[
        &seed.to_be_bytes(),
        salt.as_bytes(),
        address.order.as_bytes(),
        address.step.name().as_bytes(),
        &address.attempt.to_be_bytes(),
    ])
}

fn fault_of(kind: FaultKind, step: Step) -> Fault {
    match kind {
        FaultKind::Refuse if step.may_be_refused() => Fault::Refuse,
        FaultKind::Refuse => Fault::None,
        FaultKind::Timeout => Fault::Timeout,
        FaultKind::Late => Fault::Late,
        FaultKind::VeryLate => Fault::VeryLate,
        FaultKind::Twice => Fault::Twice,
        FaultKind::Garbage => Fault::Garbage,
        FaultKind::Down => Fault::Down(Outage::Unavailable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(order: u32, step: Step, attempt: u32, delivery: u32) -> Address {
        Address { order: format!("order-{order}"), step, attempt, delivery }
    }

    fn drawn(profile: &Profile, step: Step, orders: u32, kind: FaultKind) -> usize {
        (0..orders).filter(|n| plan(7, profile, &address(*n, step, 1, 1)).kind() == Some(kind)).count()
    }

    #[test]
    fn every_cell_meets_its_percentage() {
        let profile: Profile = "authorise.refuse=3%,authorise.timeout=10%,authorise.late=5%,\
            authorise.very_late=2%,authorise.twice=4%,authorise.garbage=6%,authorise.down=8%"
            .parse()
            .unwrap();
        let got = FaultKind::ALL.map(|kind| drawn(&profile, Step::Authorise, 20_000, kind));
        // What is down never draws the other kinds: they share what is left.
        let want = [552, 1840, 920, 368, 736, 1104, 1600];
        for (got, want) in got.into_iter().zip(want) {
            let deviation = 5.0 * f64::from(want).sqrt();
            assert!((got as f64 - f64::from(want)).abs() < deviation, "{got} drawn, {want} expected");
        }
        assert_eq!(drawn(&profile, Step::Capture, 5_000, FaultKind::Timeout), 0);
    }

    #[test]
    fn everyday_fills_every_cell_in_3000_orders() {
        let kinds = [FaultKind::Refuse, FaultKind::Timeout, FaultKind::Late, FaultKind::Twice];
        for step in [Step::Authorise, Step::Book, Step::Capture] {
            for kind in kinds {
                let drawn = drawn(&Profile::everyday(), step, 3_000, kind);
                assert!((5..70).contains(&drawn), "{step}.{kind:?} drawn {drawn} times");
            }
        }
    }

    #[test]
    fn the_plan_knows_neither_order_of_arrival_nor_earlier_draws() {
        let profile: Profile = "capture.timeout=50%,capture.down=20%".parse().unwrap();
        let ask = |n| plan(7, &profile, &address(n, Step::Capture, 1 + n % 3, 1));
        let forwards: Vec<_> = (0..500).map(ask).collect();
        let mut backwards: Vec<_> = (0..500).rev().map(ask).collect();
        backwards.reverse();
        assert_eq!(forwards, backwards);
    }

    #[test]
    fn the_hash_is_pinned() {
        // A changed hash would draw other faults for every recorded seed.
        let digest = draw(7, "profile", &address(1, Step::Book, 1, 1));
        assert_eq!(digest.millionth(), 438_260);
    }

    #[test]
    fn seed_attempt_and_step_matter() {
        let profile: Profile = "authorise.late=50%,book.late=50%".parse().unwrap();
        let late = |seed, step, attempt| -> Vec<bool> {
            (0..64).map(|n| plan(seed, &profile, &address(n, step, attempt, 1)) == Fault::Late).collect()
        };
        let base = late(7, Step::Authorise, 1);
        assert_ne!(base, late(8, Step::Authorise, 1));
        assert_ne!(base, late(7, Step::Book, 1));
        assert_ne!(base, late(7, Step::Authorise, 2));
    }

    #[test]
    fn what_is_down_is_up_at_another_delivery() {
        let profile: Profile = "void.down=50%".parse().unwrap();
        for order in 0..200 {
            let up = (1..40).any(|n| plan(7, &profile, &address(order, Step::Void, 1, n)) == Fault::None);
            assert!(up, "order {order} never gets through");
        }
    }

    #[test]
    fn both_outages_happen() {
        let profile: Profile = "void.down=100%".parse().unwrap();
        let drawn: Vec<_> = (0..64).map(|n| plan(7, &profile, &address(n, Step::Void, 1, 1))).collect();
        assert!(drawn.contains(&Fault::Down(Outage::Reset)));
        assert!(drawn.contains(&Fault::Down(Outage::Unavailable)));
    }

    #[test]
    fn undoing_is_never_refused() {
        for step in [Step::Void, Step::Refund, Step::Cancel] {
            assert_eq!(hit(7, FaultKind::Refuse, 1_000_000, &address(1, step, 1, 1)), Fault::None);
        }
        let refused = hit(7, FaultKind::Refuse, 1_000_000, &address(1, Step::Book, 1, 1));
        assert_eq!(refused, Fault::Refuse);
    }
}
