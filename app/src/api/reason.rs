//! Why somebody does something.

use banyan_kernel::unseen;
use serde::Deserialize;

/// A few words that are kept for good: 1 to 200 characters, each of which can be seen.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Reason(pub String);

impl TryFrom<String> for Reason {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if !(1..=200).contains(&text.chars().count()) {
            return Err("a reason has 1 to 200 characters".to_owned());
        }
        match unseen(&text) {
            Some(c) => Err(format!(
                "a reason has none but characters that can be seen, and not U+{:04X}",
                u32::from(c)
            )),
            None => Ok(Self(text)),
        }
    }
}
