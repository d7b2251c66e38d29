//! The sandbox as its requests share it.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Semaphore;

use crate::answer::Trouble;
use crate::book::{self, Book, BookError, Entry, PageError};
use crate::clock::{Clock, Moment};
use crate::config::Config;
use crate::faults::{Breaks, Fault, FaultKind, plan};
use crate::ledger::Ledger;
use crate::step::Address;
use crate::world::World;

const MOST_REQUESTS_AT_ONCE: usize = 1_024;

/// Everything that requests share.
pub(crate) struct Sandbox {
    pub(crate) config: Config,
    pub(crate) book: Book,
    pub(crate) permits: Semaphore,
    clock: Arc<dyn Clock>,
    ledger: Mutex<Ledger>,
    breaks: Mutex<Breaks>,
}

impl Sandbox {
    /// Reads the book back and starts writing behind its end.
    pub(crate) fn open(config: Config, clock: Arc<dyn Clock>) -> Result<Self, BookError> {
        let mut world = World::new(&config);
        let loaded = book::open(&config.book_dir, |line, entry| world.apply(line, &entry))?;
        let path = loaded.path.clone();
        let (book, tail) = Book::start(loaded.path, loaded.file, loaded.end)
            .map_err(|source| BookError::Io { path, source })?;
        let ledger = Mutex::new(Ledger { world, tail, seed: config.seed });
        let permits = Semaphore::new(MOST_REQUESTS_AT_ONCE);
        Ok(Self { config, book, permits, clock, ledger, breaks: Mutex::default() })
    }

    pub(crate) fn now(&self) -> Moment {
        self.clock.now()
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().expect("deciding does not panic")
    }

    pub(crate) fn breaks(&self) -> MutexGuard<'_, Breaks> {
        self.breaks.lock().expect("drawing does not panic")
    }

    /// What goes wrong with a request: what is turned up by hand comes before the profile.
    pub(crate) fn planned(&self, address: &Address) -> Fault {
        let turned_up = self.breaks().fault(self.config.seed, address, self.now().uptime);
        if turned_up != Fault::None || address.order.is_empty() {
            return turned_up;
        }
        plan(self.config.seed, &self.config.profile, address)
    }

    /// Something was down, which leaves no line in the book.
    pub(crate) fn count_down(&self, address: &Address) {
        self.ledger().world.counts.add(address.step, FaultKind::Down, &address.order);
    }

    /// Reads a line that is on disk.
    pub(crate) async fn line(&self, offset: u64) -> Result<Entry, Trouble> {
        let (path, durable): (PathBuf, u64) = (self.book.path().to_owned(), self.book.durable());
        let read = tokio::task::spawn_blocking(move || book::line_at(&path, offset, durable)).await;
        let read = read.map_err(|error| PageError::Io(std::io::Error::other(error))).flatten();
        read.map_err(|error| {
            tracing::error!(%error, offset, "a stored answer cannot be read");
            Trouble::NotBooked
        })
    }
}
