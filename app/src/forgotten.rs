//! Who was forgotten, and when, where a restored database does not bring them back: beside it, in the data folder. Ids alone; of a person
//! there is nothing else in it.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use banyan_kernel::{Answer, Clock, CustomerId, Timestamp};
use notifications_api::Notifications;
use serde::{Deserialize, Serialize};

/// In the data folder, a line for each time.
pub const FILE: &str = "forgotten.jsonl";

/// The line is written first, and the person deleted after it: a copy of the database may have been begun between the two.
const UNDER_WAY_MAX: Duration = Duration::from_secs(60);

/// The list. One process writes it, who holds the data folder.
#[derive(Clone)]
pub struct Forgotten {
    path: Arc<Mutex<PathBuf>>,
    clock: Arc<dyn Clock>,
}

/// What is kept of it.
#[derive(Serialize, Deserialize)]
struct Line {
    customer: CustomerId,
    /// Lists of before have lines that say that somebody was back, and no times.
    forgotten: bool,
    #[serde(default, with = "banyan_kernel::rfc3339::option")]
    at: Option<Timestamp>,
}

impl Line {
    /// Whether a copy of then may know who was forgotten here. Where a time is not known, it may.
    fn is_after(&self, copy: Option<Timestamp>) -> bool {
        let certainly_before = self.at.zip(copy).is_some_and(|(at, copy)| at + UNDER_WAY_MAX < copy);
        self.forgotten && !certainly_before
    }
}

impl Forgotten {
    /// In this file, which need not be there.
    #[must_use]
    pub fn at(path: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self { path: Arc::new(Mutex::new(path)), clock }
    }

    /// Forgets a person. That they are to be is on the disk first: a crash between leaves nobody who would come back.
    pub async fn forget(&self, notifications: &dyn Notifications, customer: CustomerId) -> Answer<bool> {
        match self.note(Line { customer, forgotten: true, at: Some(self.clock.now()) }) {
            Ok(()) => notifications.forget(customer).await,
            Err(error) => Answer::Unavailable(format!("{FILE} cannot be written: {error}")),
        }
    }

    /// Forgets anew whom a copy of the database that was begun then has brought back, and says who they are. Also who said anew, later, how
    /// they are reached: what the copy knows of them is of before they were forgotten.
    ///
    /// # Errors
    /// When the list cannot be read, or somebody not be forgotten.
    pub async fn forget_anew(
        &self,
        notifications: &dyn Notifications,
        copy: Option<Timestamp>,
    ) -> Result<Vec<CustomerId>, String> {
        let mut back = Vec::new();
        for customer in self.since(copy).map_err(|error| format!("{FILE} cannot be read: {error}"))? {
            match notifications.forget(customer).await {
                Answer::Done(true) => back.push(customer),
                Answer::Done(false) => {}
                other => return Err(format!("{customer} cannot be forgotten anew: {other:?}")),
            }
        }
        Ok(back)
    }

    fn since(&self, copy: Option<Timestamp>) -> io::Result<BTreeSet<CustomerId>> {
        let path = self.path.lock().unwrap_or_else(PoisonError::into_inner);
        let text = match fs::read_to_string(&*path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        // A line that a crash cut short is one of somebody who was told that it was not done.
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
        Ok(lines.filter(|line| line.is_after(copy)).map(|line| line.customer).collect())
    }

    fn note(&self, line: Line) -> io::Result<()> {
        let path = self.path.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&*path)?;
        // Behind a line that was cut short a new one begins.
        let line = format!("\n{}\n", serde_json::to_string(&line)?);
        file.write_all(line.as_bytes())?;
        file.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use banyan_kernel::SystemClock;
    use uuid::Uuid;

    use super::*;

    fn customer(n: u128) -> CustomerId {
        CustomerId(Uuid::from_u128(n))
    }

    fn moment(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + time::Duration::minutes(minutes)
    }

    #[test]
    fn who_was_forgotten_after_a_copy_was_begun_is_found_though_they_came_back() {
        let folder = tempfile::tempdir().expect("a folder");
        let list = Forgotten::at(folder.path().join(FILE), Arc::new(SystemClock));
        let note =
            |n, forgotten, at| list.note(Line { customer: customer(n), forgotten, at }).expect("a line");
        note(1, true, Some(moment(10)));
        note(2, true, Some(moment(30)));
        note(2, false, Some(moment(31)));
        // In lists of before no line has a time.
        fs::OpenOptions::new()
            .append(true)
            .open(folder.path().join(FILE))
            .and_then(|mut file| writeln!(file, r#"{{"customer":"{}","forgotten":true}}"#, customer(3)))
            .expect("an old line");
        let since = |copy| list.since(copy).expect("a list").into_iter().collect::<Vec<_>>();
        let all = [1, 2, 3].map(customer);
        assert_eq!(since(Some(moment(5))), all);
        assert_eq!(since(Some(moment(20))), all[1..], "the first had been forgotten before");
        assert_eq!(since(Some(moment(10))), all, "the deletion may have come after the copy was begun");
        assert_eq!(since(Some(moment(40))), all[2..], "when, is not known");
        assert_eq!(since(None), all, "of when the copy is, is not known");
    }
}
