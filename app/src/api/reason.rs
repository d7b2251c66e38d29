//! Why somebody does something.

use serde::Deserialize;

/// A few words that are kept for good: 1 to 200 characters, none of them a control character.
#[derive(Debug, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Reason(pub String);

impl TryFrom<String> for Reason {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let fits = (1..=200).contains(&text.chars().count()) && !text.chars().any(char::is_control);
        fits.then_some(Self(text)).ok_or("a reason is 1 to 200 characters, none of them a control character")
    }
}
