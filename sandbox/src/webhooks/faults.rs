//! What goes wrong with events on their way: drawn from the event alone.

use std::str::FromStr;

use crate::digest::Digest;
use crate::faults::{ProfileError, Rate};

/// How often an event is told twice, or late: after others that happened later.
#[derive(Clone, Copy, Debug, Default)]
pub struct WebhookFaults {
    twice: Rate,
    late: Rate,
}

impl WebhookFaults {
    pub(super) fn is_twice(&self, seed: u64, event: &str) -> bool {
        hit(seed, "twice", event, self.twice)
    }

    pub(super) fn is_late(&self, seed: u64, event: &str) -> bool {
        hit(seed, "late", event, self.late)
    }
}

fn hit(seed: u64, fault: &str, event: &str, rate: Rate) -> bool {
    let drawn = Digest::of(&[b"webhook", fault.as_bytes(), &seed.to_be_bytes(), event.as_bytes()]);
    drawn.millionth() < rate.per_million()
}

impl FromStr for WebhookFaults {
    type Err = ProfileError;

    /// `none`, or `twice=PERCENT%` and `late=PERCENT%`, joined by a comma.
    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let mut faults = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| *part != "none") {
            let wrong = || ProfileError::new(part, "want twice=PERCENT% or late=PERCENT%");
            let (name, percent) = part.split_once('=').ok_or_else(wrong)?;
            let rate = Rate::parse(part, percent)?;
            match name {
                "twice" => faults.twice = rate,
                "late" => faults.late = rate,
                _ => return Err(wrong()),
            }
        }
        Ok(faults)
    }
}
