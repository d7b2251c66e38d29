//! Appending with group commit: whatever waits together is made durable by one fsync.

use std::fs::File;
use std::io::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use tokio::sync::watch;

/// How far the book is durable.
#[derive(Clone, Debug)]
pub(crate) enum Progress {
    /// Up to this offset.
    Durable(u64),
    /// A write or an fsync failed. It is never repeated: after a failed fsync nobody knows what is on disk.
    Failed(String),
}

#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    closed: bool,
}

#[derive(Default)]
struct Queue {
    pending: Mutex<Pending>,
    wake: Condvar,
}

/// The end of the book, of which there is one: who holds it is the only writer.
pub(crate) struct Tail {
    end: u64,
    queue: Arc<Queue>,
}

/// The book as everybody else sees it.
pub(crate) struct Book {
    path: PathBuf,
    progress: watch::Receiver<Progress>,
    queue: Arc<Queue>,
    writer: Option<JoinHandle<()>>,
}

impl Book {
    /// Starts the writer behind a file that is positioned at its end.
    pub(crate) fn start(path: PathBuf, file: File, end: u64) -> std::io::Result<(Self, Tail)> {
        let queue = Arc::new(Queue::default());
        let (told, progress) = watch::channel(Progress::Durable(end));
        let taken = queue.clone();
        let writer =
            std::thread::Builder::new().name("book".into()).spawn(move || write(file, end, &taken, &told))?;
        let tail = Tail { end, queue: queue.clone() };
        Ok((Self { path, progress, queue, writer: Some(writer) }, tail))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The offset up to which the book is on disk.
    pub(crate) fn durable(&self) -> u64 {
        match &*self.progress.borrow() {
            Progress::Durable(end) => *end,
            Progress::Failed(_) => 0,
        }
    }

    /// Waits until the book is on disk up to an offset.
    pub(crate) async fn reached(&self, offset: u64) -> Result<(), String> {
        let mut progress = self.progress.clone();
        let there = |progress: &Progress| match progress {
            Progress::Durable(end) => *end >= offset,
            Progress::Failed(_) => true,
        };
        match progress.wait_for(there).await.as_deref() {
            Ok(Progress::Durable(_)) => Ok(()),
            Ok(Progress::Failed(reason)) => Err(reason.clone()),
            Err(_) => Err("the book is closed".to_owned()),
        }
    }

    /// Waits until the book cannot be written any more, and says why.
    pub(crate) async fn failed(&self) -> String {
        let mut progress = self.progress.clone();
        let failed = |progress: &Progress| matches!(progress, Progress::Failed(_));
        match progress.wait_for(failed).await.as_deref() {
            Ok(Progress::Failed(reason)) => reason.clone(),
            _ => "the book is closed".to_owned(),
        }
    }
}

impl Drop for Book {
    fn drop(&mut self) {
        self.queue.pending.lock().expect("the writer does not panic").closed = true;
        self.queue.wake.notify_one();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

impl Tail {
    /// Where the next line will begin.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Queues a line, its line feed included, and tells where it will be.
    pub(crate) fn append(&mut self, line: &[u8]) -> Range<u64> {
        let start = self.end;
        self.end += line.len() as u64;
        self.queue.pending.lock().expect("the writer does not panic").bytes.extend_from_slice(line);
        self.queue.wake.notify_one();
        start..self.end
    }
}

fn write(mut file: File, mut end: u64, queue: &Queue, told: &watch::Sender<Progress>) {
    while let Some(batch) = next(queue) {
        if let Err(error) = file.write_all(&batch).and_then(|()| file.sync_data()) {
            tracing::error!(%error, "the book cannot be written");
            told.send_replace(Progress::Failed(error.to_string()));
            return;
        }
        end += batch.len() as u64;
        told.send_replace(Progress::Durable(end));
    }
}

fn next(queue: &Queue) -> Option<Vec<u8>> {
    let mut pending = queue.pending.lock().expect("nobody panics while appending");
    while pending.bytes.is_empty() {
        if pending.closed {
            return None;
        }
        pending = queue.wake.wait(pending).expect("nobody panics while appending");
    }
    Some(std::mem::take(&mut pending.bytes))
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    #[tokio::test]
    async fn what_waits_is_on_disk_when_it_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("book");
        let (book, mut tail) = Book::start(path.clone(), File::create(&path).unwrap(), 0).unwrap();
        for line in 1..=50_u64 {
            assert_eq!(tail.append(b"line\n"), (line - 1) * 5..line * 5);
            book.reached(line * 5).await.unwrap();
            assert!(std::fs::metadata(&path).unwrap().len() >= line * 5);
        }
        assert_eq!(book.durable(), 250);
    }

    #[tokio::test]
    async fn a_full_disk_is_told_to_all_who_wait() {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let (book, mut tail) = Book::start("/dev/full".into(), full, 0).unwrap();
        let end = tail.append(b"line\n").end;
        assert!(book.reached(end).await.unwrap_err().contains("No space left"));
        assert!(book.failed().await.contains("No space left"));
        assert_eq!(book.durable(), 0);
    }
}
