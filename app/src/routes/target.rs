//! Where a route may lead.

use std::{collections::BTreeMap, fmt};

use banyan_flags::WEIGHTS_SUM;
use banyan_net::route::Choice;

const LOCAL: &str = "local";
const SHADOW: &str = "shadow";
const REMOTE: &str = "remote";

/// Where a module's items go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// All to this process.
    Local,
    /// All to this process, and of so many of a thousand keys questions also to the module's own, to compare.
    Shadow(u16),
    /// Those of so many of a thousand keys to the module's own process.
    Remote(u16),
}

/// Why words are no target.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum TargetError {
    /// Of where.
    #[error("{0:?} is neither local, shadow nor remote")]
    Unknown(String),
    /// Of how many.
    #[error("{0} % is not between 0 and 100, to one place after the point")]
    Percent(f64),
    /// Of how many, where nothing is asked elsewhere.
    #[error("local is all: it has no per cent")]
    LocalPercent,
}

impl Target {
    /// `local`, `shadow` or `remote`, and for how many of a hundred keys; all, unless told.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(to: &str, percent: Option<f64>) -> Result<Self, TargetError> {
        let of_thousand = percent.map_or(Ok(WEIGHTS_SUM), of_thousand)?;
        match to {
            LOCAL if percent.is_some() => Err(TargetError::LocalPercent),
            LOCAL => Ok(Self::Local),
            SHADOW => Ok(Self::Shadow(of_thousand)),
            REMOTE => Ok(Self::Remote(of_thousand)),
            other => Err(TargetError::Unknown(other.chars().take(40).collect())),
        }
    }

    /// As a flag has it.
    #[must_use]
    pub fn weights(self) -> BTreeMap<String, u16> {
        let (remote, shadow) = match self {
            Self::Local => (0, 0),
            Self::Shadow(of_thousand) => (0, of_thousand),
            Self::Remote(of_thousand) => (of_thousand, 0),
        };
        let all = [(LOCAL, WEIGHTS_SUM - remote - shadow), (REMOTE, remote), (SHADOW, shadow)];
        all.map(|(variant, weight)| (variant.to_owned(), weight)).into()
    }
}

/// One place after the point: so many of a thousand.
fn of_thousand(percent: f64) -> Result<u16, TargetError> {
    let tenths = (percent * 10.0).round();
    if !(0.0..=f64::from(WEIGHTS_SUM)).contains(&tenths) || (tenths - percent * 10.0).abs() > 1e-6 {
        return Err(TargetError::Percent(percent));
    }
    // Between 0 and a thousand, and whole.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it was looked at above")]
    Ok(tenths as u16)
}

/// What a flag's variant says.
pub(super) fn choice(variant: &str) -> Choice {
    match variant {
        REMOTE => Choice::Remote,
        SHADOW => Choice::Shadow,
        _ => Choice::Local,
    }
}

/// A flag's weights, for people: `remote 25 %, local 75 %`.
#[must_use]
pub fn words(weights: &BTreeMap<String, u16>) -> String {
    let some =
        [REMOTE, SHADOW, LOCAL].into_iter().filter_map(|variant| Some((variant, *weights.get(variant)?)));
    let some: Vec<(&str, u16)> = some.filter(|(_, weight)| *weight > 0).collect();
    match some[..] {
        [(all, _)] => all.to_owned(),
        _ => some
            .iter()
            .map(|(variant, weight)| format!("{variant} {} %", f64::from(*weight) / 10.0))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&words(&self.weights()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_one_of_three_and_of_tenths_of_a_per_cent() {
        assert_eq!(Target::parse("local", None), Ok(Target::Local));
        assert_eq!(Target::parse("shadow", None), Ok(Target::Shadow(1_000)));
        assert_eq!(Target::parse("remote", Some(0.1)), Ok(Target::Remote(1)));
        assert_eq!(Target::parse("remote", Some(33.3)), Ok(Target::Remote(333)));
        assert_eq!(Target::parse("local", Some(5.0)), Err(TargetError::LocalPercent));
        assert_eq!(Target::parse("remot", None), Err(TargetError::Unknown("remot".to_owned())));
        for wrong in [-0.1, 100.1, 0.05, f64::INFINITY] {
            assert_eq!(Target::parse("remote", Some(wrong)), Err(TargetError::Percent(wrong)));
        }
        assert!(Target::parse("remote", Some(f64::NAN)).is_err());
    }

    #[test]
    fn a_target_is_told_in_words() {
        let told =
            [Target::Local, Target::Shadow(1_000), Target::Remote(255)].map(|target| target.to_string());
        assert_eq!(told, ["local", "shadow", "remote 25.5 %, local 74.5 %"]);
    }
}
