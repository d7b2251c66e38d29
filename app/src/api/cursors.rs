//! Cursors: where the next page of a list begins, sealed together with the list and what it was asked for. A cursor that was
//! changed, or that is used with another list or other filters, is refused and never a wrong page.

use axum::http::StatusCode;
use banyan_net::{Keys, Problem};
use serde::Serialize;

/// Seals and opens cursors with the shop's own keys: shops that take each other's tokens take each other's cursors.
#[derive(Clone)]
pub struct Cursors(Keys);

/// A list as it is asked for. How long a page may be is no part of it: that may change from page to page.
pub(crate) struct List<'a> {
    keys: &'a Keys,
    asked: Vec<u8>,
}

impl Cursors {
    /// By these keys.
    #[must_use]
    pub fn new(keys: Keys) -> Self {
        Self(keys)
    }

    /// The cursors of a list with these filters, all that narrows it: who asks, where that counts, included.
    pub(crate) fn of(&self, list: &str, filters: impl Serialize) -> List<'_> {
        // Texts, numbers and times always become JSON.
        List { keys: &self.0, asked: serde_json::to_vec(&(list, filters)).unwrap_or_default() }
    }
}

impl List<'_> {
    /// `PLACE.SEAL`, in letters, digits and `. _ -` as long as the place is.
    pub(crate) fn seal(&self, place: &str) -> String {
        format!("{place}.{}", hex::encode(self.keys.seal(&self.message(place))))
    }

    /// The place in a cursor, if there is one and it is one of this list's.
    pub(crate) fn open<T>(
        &self,
        cursor: Option<&str>,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, Problem> {
        let place = |cursor: &str| {
            let (place, seal) = cursor.rsplit_once('.')?;
            let is_ours = self.keys.is_sealed(&self.message(place), &hex::decode(seal).ok()?);
            is_ours.then(|| parse(place)).flatten()
        };
        cursor.map(|cursor| place(cursor).ok_or_else(invalid)).transpose()
    }

    /// The length keeps what was asked for and the place apart.
    fn message(&self, place: &str) -> Vec<u8> {
        [&self.asked.len().to_be_bytes()[..], &self.asked, place.as_bytes()].concat()
    }
}

fn invalid() -> Problem {
    let detail = "a cursor is the next of a page, unchanged, of the same list with the same other parameters; without one \
                  the list begins anew";
    Problem::new(StatusCode::BAD_REQUEST, "invalid_cursor", detail)
}
