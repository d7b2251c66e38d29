//! A profile: how often each kind of fault meets each step, and its text form.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::FaultKind;
use crate::step::Step;

/// A share, in millionths: `1.5%` is 15,000.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Rate(pub(crate) u32);

impl Rate {
    /// A percentage between 0 and 100; four digits behind the point count.
    pub fn from_percent(percent: f64) -> Option<Self> {
        (0.0..=100.0).contains(&percent).then(|| Self((percent * 10_000.0).round() as u32))
    }

    /// `1.5%`, as `part` of a text.
    pub(crate) fn parse(part: &str, percent: &str) -> Result<Self, ProfileError> {
        let digits = percent.strip_suffix('%').ok_or_else(|| wrong(part, "the share ends with %"))?;
        let plain = !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit() || c == '.');
        let behind = digits.split_once('.').map_or(0, |(_, behind)| behind.len());
        if !plain || behind > 4 {
            return Err(wrong(
                part,
                "the share is a plain decimal number with at most 4 digits behind the point",
            ));
        }
        let number = digits.parse().map_err(|_| wrong(part, "the share is not a number"))?;
        Self::from_percent(number).ok_or_else(|| wrong(part, "the share is between 0% and 100%"))
    }

    /// In millionths.
    pub const fn per_million(self) -> u32 {
        self.0
    }
}

impl FromStr for Rate {
    type Err = ProfileError;

    fn from_str(text: &str) -> Result<Self, ProfileError> {
        Self::parse(text, text)
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}%", f64::from(self.0) / 10_000.0)
    }
}

/// A text that is no profile; the message names the bad part.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("fault profile: {part:?}: {reason}")]
pub struct ProfileError {
    part: String,
    reason: String,
}

impl ProfileError {
    pub(crate) fn new(part: &str, reason: &str) -> Self {
        Self { part: part.to_owned(), reason: reason.to_owned() }
    }
}

/// How often each kind of fault meets each step.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Profile {
    rates: BTreeMap<(Step, FaultKind), Rate>,
}

const EVERYDAY: &str = "authorise.refuse=1%,authorise.timeout=1%,authorise.late=1%,authorise.very_late=0.3%,\
authorise.twice=1%,authorise.garbage=0.5%,authorise.down=0.5%,\
capture.refuse=1%,capture.timeout=1%,capture.late=1%,capture.twice=1%,capture.garbage=0.5%,capture.down=0.5%,\
void.timeout=1%,void.late=1%,void.twice=1%,void.garbage=0.5%,void.down=0.5%,\
refund.timeout=1%,refund.late=1%,refund.twice=1%,refund.garbage=0.5%,refund.down=0.5%,\
book.refuse=1%,book.timeout=1%,book.late=1%,book.twice=1%,book.garbage=0.5%,book.down=0.5%,\
cancel.timeout=1%,cancel.late=1%,cancel.twice=1%,cancel.garbage=0.5%,cancel.down=0.5%";

impl Profile {
    /// Nothing goes wrong.
    pub fn none() -> Self {
        Self::default()
    }

    /// A bad day's share of everything: fills each cell of the report's table within 3,000 orders.
    pub fn everyday() -> Self {
        EVERYDAY.parse().expect("the built-in profile is tested")
    }

    /// The share of one kind at one step.
    pub fn rate(&self, step: Step, kind: FaultKind) -> Rate {
        self.rates.get(&(step, kind)).copied().unwrap_or_default()
    }

    fn checked(self) -> Result<Self, ProfileError> {
        for step in Step::ALL {
            let drawn = FaultKind::ALL.into_iter().filter(|kind| *kind != FaultKind::Down);
            let sum: u32 = drawn.map(|kind| self.rate(step, kind).0).sum();
            if sum > 1_000_000 {
                return Err(wrong(step.name(), "its kinds add up to more than 100%"));
            }
        }
        Ok(self)
    }
}

impl FromStr for Profile {
    type Err = ProfileError;

    /// `none`, `everyday`, or cells `STEP.KIND=PERCENT%` joined by commas; a leading `everyday` is the
    /// ground that the cells behind it overwrite. No cell may be named twice.
    fn from_str(text: &str) -> Result<Self, ProfileError> {
        let mut parts = text.split(',').map(str::trim).peekable();
        let mut profile = Self::default();
        match parts.peek() {
            Some(&"none") => drop(parts.next()),
            Some(&"everyday") => {
                parts.next();
                profile = Self::everyday();
            }
            _ => {}
        }
        let mut named = BTreeMap::new();
        for part in parts {
            let (cell, rate) = cell(part)?;
            if named.insert(cell, rate).is_some() {
                return Err(wrong(part, "this cell is named twice"));
            }
        }
        profile.rates.extend(named);
        profile.checked()
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rates.is_empty() {
            return f.write_str("none");
        }
        let cells = self.rates.iter().map(|((step, kind), rate)| format!("{step}.{}={rate}", kind.name()));
        f.write_str(&cells.collect::<Vec<_>>().join(","))
    }
}

fn cell(part: &str) -> Result<((Step, FaultKind), Rate), ProfileError> {
    let (name, percent) =
        part.split_once('=').ok_or_else(|| wrong(part, "want STEP.KIND=PERCENT%, `none` or `everyday`"))?;
    let (step, kind) = name.split_once('.').ok_or_else(|| wrong(part, "want a step, a dot and a kind"))?;
    let step: Step = step.parse().map_err(|()| {
        wrong(part, "no such step; there are authorise, capture, void, refund, book, cancel")
    })?;
    let kind: FaultKind = kind.parse().map_err(|()| {
        wrong(part, "no such kind; there are refuse, timeout, late, very_late, twice, garbage, down")
    })?;
    if kind == FaultKind::Refuse && !step.may_be_refused() {
        return Err(wrong(part, "undoing is never refused"));
    }
    Ok(((step, kind), Rate::parse(part, percent)?))
}

fn wrong(part: &str, reason: &str) -> ProfileError {
    ProfileError::new(part, reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_is_read_as_it_is_written() {
        let profile: Profile = "authorise.timeout=1.5%, book.refuse=0.5%".parse().unwrap();
        assert_eq!(profile.rate(Step::Authorise, FaultKind::Timeout), Rate(15_000));
        assert_eq!(profile.rate(Step::Book, FaultKind::Refuse), Rate(5_000));
        assert_eq!(profile.to_string(), "authorise.timeout=1.5%,book.refuse=0.5%");
        for text in ["none", "everyday", "everyday,capture.timeout=60%"] {
            let profile: Profile = text.parse().unwrap();
            assert_eq!(profile.to_string().parse(), Ok(profile));
        }
    }

    #[test]
    fn cells_overwrite_the_ground() {
        let profile: Profile = "everyday,book.refuse=7%".parse().unwrap();
        assert_eq!(profile.rate(Step::Book, FaultKind::Refuse), Rate(70_000));
        assert_eq!(profile.rate(Step::Book, FaultKind::Timeout), Rate(10_000));
    }

    #[test]
    fn a_bad_part_is_named() {
        let bad = [
            ("", "\"\": want STEP.KIND"),
            ("sometimes", "\"sometimes\": want STEP.KIND"),
            ("book.late=1%,,void.late=1%", "\"\": want STEP.KIND"),
            ("book.late=1%,everyday", "\"everyday\": want STEP.KIND"),
            ("ship.late=1%", "\"ship.late=1%\": no such step"),
            ("book.lost=1%", "\"book.lost=1%\": no such kind"),
            ("book=1%", "\"book=1%\": want a step, a dot"),
            ("book.late=1", "\"book.late=1\": the share ends with %"),
            ("book.late=-1%", "the share is a plain decimal"),
            ("book.late=1e1%", "the share is a plain decimal"),
            ("book.late=1.2.3%", "the share is not a number"),
            ("book.late=0.00001%", "at most 4 digits"),
            ("book.late=100.1%", "between 0% and 100%"),
            ("void.refuse=1%", "\"void.refuse=1%\": undoing is never refused"),
            ("book.late=1%,book.late=2%", "\"book.late=2%\": this cell is named twice"),
            ("book.late=60%,book.timeout=41%", "\"book\": its kinds add up to more than 100%"),
        ];
        for (text, message) in bad {
            let error = text.parse::<Profile>().expect_err(text).to_string();
            assert!(error.contains(message), "{text}: {error}");
        }
    }
}
