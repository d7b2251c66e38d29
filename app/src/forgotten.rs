//! Who was forgotten, where a restored database does not bring them back: beside it, in the data folder. Ids alone; of a person there is
//! nothing else in it.

use std::{
    fs,
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use banyan_kernel::{Answer, CustomerId};
use notifications_api::Notifications;
use serde::{Deserialize, Serialize};

/// In the data folder, a line for each time.
pub const FILE: &str = "forgotten.jsonl";

/// The list. One process writes it, who holds the data folder.
#[derive(Clone)]
pub struct Forgotten(Arc<Mutex<PathBuf>>);

/// What is kept of it: the last line of somebody counts.
#[derive(Serialize, Deserialize)]
struct Line {
    customer: CustomerId,
    /// False when they said anew how they are reached.
    forgotten: bool,
}

impl Forgotten {
    /// In this file, which need not be there.
    #[must_use]
    pub fn at(path: PathBuf) -> Self {
        Self(Arc::new(Mutex::new(path)))
    }

    /// Forgets a person. That they are to be is on the disk first: a crash between leaves nobody who would come back.
    pub async fn forget(&self, notifications: &dyn Notifications, customer: CustomerId) -> Answer<bool> {
        match self.note(Line { customer, forgotten: true }) {
            Ok(()) => notifications.forget(customer).await,
            Err(error) => Answer::Unavailable(format!("{FILE} cannot be written: {error}")),
        }
    }

    /// Somebody says how they are reached, who may have been forgotten: a restore must not take that away again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn is_back(&self, customer: CustomerId) -> io::Result<()> {
        if self.all()?.contains(&customer) { self.note(Line { customer, forgotten: false }) } else { Ok(()) }
    }

    /// Forgets anew whom a restored database has brought back, and says who they are.
    ///
    /// # Errors
    /// When the list cannot be read, or somebody not be forgotten.
    pub async fn forget_anew(&self, notifications: &dyn Notifications) -> Result<Vec<CustomerId>, String> {
        let mut back = Vec::new();
        for customer in self.all().map_err(|error| format!("{FILE} cannot be read: {error}"))? {
            match notifications.forget(customer).await {
                Answer::Done(true) => back.push(customer),
                Answer::Done(false) => {}
                other => return Err(format!("{customer} cannot be forgotten anew: {other:?}")),
            }
        }
        Ok(back)
    }

    fn all(&self) -> io::Result<Vec<CustomerId>> {
        let path = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = match fs::read_to_string(&*path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            read => read?,
        };
        let mut forgotten = Vec::new();
        // A line that a crash cut short is one of somebody who was told that it was not done.
        for line in text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok()) {
            forgotten.retain(|known| *known != line.customer);
            if line.forgotten {
                forgotten.push(line.customer);
            }
        }
        Ok(forgotten)
    }

    fn note(&self, line: Line) -> io::Result<()> {
        let path = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = fs::OpenOptions::new().append(true).create(true).mode(0o600).open(&*path)?;
        // Behind a line that was cut short a new one begins.
        let line = format!("\n{}\n", serde_json::to_string(&line)?);
        file.write_all(line.as_bytes())?;
        file.sync_all()
    }
}
