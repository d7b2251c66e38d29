//! Records from the file to whoever plays them; broken lines are named, counted and kept out.

use std::{fs::File, io::BufReader, path::Path};

use tokio::{sync::mpsc, task};

use super::{Basket, Broken, Header, Product, Progress, Reader, Record, run::Error};

/// Records read ahead of the shop.
const READ_AHEAD: usize = 256;
/// Broken lines named one by one; the rest is counted.
const NAMED_MAX: usize = 100;

type Item = std::io::Result<Result<Record, Broken>>;

/// The file's records, read on a thread of their own.
pub(super) struct Feed<'a> {
    records: mpsc::Receiver<Item>,
    /// The first basket, met while products were read.
    held: Option<Basket>,
    strict: bool,
    progress: &'a dyn Progress,
    pub(super) lines: Lines,
}

/// What became of the file's lines.
#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    pub(super) skipped: u64,
    pub(super) broken: Vec<Broken>,
    pub(super) stopped_at: Option<u64>,
}

impl<'a> Feed<'a> {
    /// Opens a file and reads its header.
    pub(super) async fn open(
        path: &Path,
        strict: bool,
        progress: &'a dyn Progress,
    ) -> Result<(Header, Feed<'a>), Error> {
        let shown = path.display().to_string();
        let path = path.to_owned();
        let opened = task::spawn_blocking(move || Reader::open(BufReader::new(File::open(path)?))).await;
        let opened =
            opened.map_err(|error| Error::File(shown.clone(), std::io::Error::other(error).into()))?;
        let (header, reader) = opened.map_err(|why| Error::File(shown, why))?;
        let records = reading(reader);
        Ok((header, Self { records, held: None, strict, progress, lines: Lines::default() }))
    }

    /// The next product; none when baskets begin.
    pub(super) async fn product(&mut self) -> Result<Option<Product>, Error> {
        match self.next().await? {
            Some(Record::Product(product)) => Ok(Some(product)),
            Some(Record::Basket(basket)) => {
                self.held = Some(basket);
                Ok(None)
            }
            None => Ok(None),
        }
    }

    /// The next basket. The reader lets no product through after the first.
    pub(super) async fn basket(&mut self) -> Result<Option<Basket>, Error> {
        if let Some(basket) = self.held.take() {
            return Ok(Some(basket));
        }
        loop {
            match self.next().await? {
                Some(Record::Basket(basket)) => return Ok(Some(basket)),
                Some(Record::Product(_)) => {}
                None => return Ok(None),
            }
        }
    }

    async fn next(&mut self) -> Result<Option<Record>, Error> {
        while self.lines.stopped_at.is_none() {
            match self.records.recv().await {
                Some(Ok(Ok(record))) => return Ok(Some(record)),
                Some(Ok(Err(broken))) => self.skip(broken),
                Some(Err(error)) => return Err(Error::Read(error)),
                None => return Ok(None),
            }
        }
        Ok(None)
    }

    fn skip(&mut self, broken: Broken) {
        self.lines.skipped += 1;
        if self.strict {
            self.lines.stopped_at = Some(broken.line);
        }
        if self.lines.broken.len() < NAMED_MAX {
            self.progress.broken(&broken);
            self.lines.broken.push(broken);
        }
    }
}

/// Reads until the end, an error, or until nobody listens any more.
fn reading(mut reader: Reader<BufReader<File>>) -> mpsc::Receiver<Item> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    task::spawn_blocking(move || {
        while let Some(item) = reader.next_record().transpose() {
            let last = item.is_err();
            if sender.blocking_send(item).is_err() || last {
                return;
            }
        }
    });
    receiver
}
