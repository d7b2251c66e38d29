//! Faults turned up for a while, by hand.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::plan::{Fault, FaultKind, hit};
use super::profile::Rate;
use crate::step::{Address, Party};

const MOST_AT_ONCE: usize = 16;
const LONGEST_SECONDS: f64 = 3600.0;

/// The body of `POST /sandbox/break`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakRequest {
    /// Who breaks.
    pub target: Party,
    /// How.
    pub fault: FaultKind,
    /// The share of requests that are hit, 0 to 100.
    pub percent: f64,
    /// For how long, at most an hour.
    pub seconds: f64,
}

/// A break that is under way.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BreakView {
    /// Its number since the start.
    pub id: u64,
    /// Who is broken.
    pub target: Party,
    /// How.
    pub fault: FaultKind,
    /// The share of requests that are hit.
    pub percent: f64,
    /// For how long it was ordered.
    pub seconds: f64,
    /// What is left of that.
    pub remaining_seconds: f64,
}

/// A break that cannot be ordered.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BreakRefused {
    /// Not a share.
    #[error("percent is between 0 and 100, and above 0")]
    Percent,
    /// Not a length, or too long.
    #[error("seconds is above 0 and at most 3600")]
    Seconds,
    /// Too many already.
    #[error("16 breaks are under way; DELETE /sandbox/break clears them")]
    TooMany,
}

struct Break {
    id: u64,
    request: BreakRequest,
    rate: Rate,
    until: Duration,
}

/// The breaks under way, measured with the monotonic clock.
#[derive(Default)]
pub(crate) struct Breaks {
    breaks: Vec<Break>,
    ordered: u64,
}

impl Breaks {
    pub(crate) fn order(
        &mut self,
        request: BreakRequest,
        uptime: Duration,
    ) -> Result<BreakView, BreakRefused> {
        self.forget_ended(uptime);
        let rate =
            Rate::from_percent(request.percent).filter(|rate| rate.0 > 0).ok_or(BreakRefused::Percent)?;
        if !(request.seconds > 0.0 && request.seconds <= LONGEST_SECONDS) {
            return Err(BreakRefused::Seconds);
        }
        if self.breaks.len() == MOST_AT_ONCE {
            return Err(BreakRefused::TooMany);
        }
        self.ordered += 1;
        let until = uptime + Duration::from_secs_f64(request.seconds);
        let ordered = Break { id: self.ordered, request, rate, until };
        let view = ordered.view(uptime);
        self.breaks.push(ordered);
        Ok(view)
    }

    pub(crate) fn list(&mut self, uptime: Duration) -> Vec<BreakView> {
        self.forget_ended(uptime);
        self.breaks.iter().map(|one| one.view(uptime)).collect()
    }

    pub(crate) fn clear(&mut self) -> usize {
        std::mem::take(&mut self.breaks).len()
    }

    /// The newest break that hits this request, if any.
    pub(crate) fn fault(&mut self, seed: u64, address: &Address, uptime: Duration) -> Fault {
        self.drawn(seed, address, uptime, |_| true)
    }

    /// The newest break that takes this request down, if any.
    pub(crate) fn down(&mut self, seed: u64, address: &Address, uptime: Duration) -> Fault {
        self.drawn(seed, address, uptime, |kind| kind == FaultKind::Down)
    }

    fn drawn(
        &mut self,
        seed: u64,
        address: &Address,
        uptime: Duration,
        wanted: impl Fn(FaultKind) -> bool,
    ) -> Fault {
        self.forget_ended(uptime);
        let fits = |one: &&Break| one.request.target == address.step.party() && wanted(one.request.fault);
        let mine = self.breaks.iter().rev().filter(fits);
        mine.map(|one| hit(seed, one.request.fault, one.rate.0, address))
            .find(|fault| *fault != Fault::None)
            .unwrap_or(Fault::None)
    }

    fn forget_ended(&mut self, uptime: Duration) {
        self.breaks.retain(|one| one.until > uptime);
    }
}

impl Break {
    fn view(&self, uptime: Duration) -> BreakView {
        BreakView {
            id: self.id,
            target: self.request.target,
            fault: self.request.fault,
            percent: self.request.percent,
            seconds: self.request.seconds,
            remaining_seconds: self.until.saturating_sub(uptime).as_secs_f64(),
        }
    }
}
