//! Reading the book back at start.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::entry::{Entry, FORM};

const NAME: &str = "book.jsonl";

/// A book that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum BookError {
    /// The folder or file cannot be read or written.
    #[error("the book {path} cannot be opened: {source}")]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Another sandbox writes it.
    #[error("the book {path} is in use by another sandbox")]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// A whole line that says nothing we understand: someone wrote into the book.
    #[error("the book {path} is broken at line {line} (offset {offset}): {reason}")]
    Broken {
        /// Which.
        path: PathBuf,
        /// Its number, from 1.
        line: u64,
        /// Where it begins.
        offset: u64,
        /// What is wrong.
        reason: String,
    },
}

/// A book that was read to its end.
pub(crate) struct Loaded {
    pub(crate) path: PathBuf,
    pub(crate) file: File,
    pub(crate) end: u64,
}

/// Opens the book of a folder for this process alone, hands over each line, and cuts off a torn last one.
pub(crate) fn open(dir: &Path, mut each: impl FnMut(Range<u64>, Entry)) -> Result<Loaded, BookError> {
    let path = dir.join(NAME);
    let io = |source| BookError::Io { path: path.clone(), source };
    std::fs::create_dir_all(dir).map_err(io)?;
    let mut file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(io)?;
    file.try_lock().map_err(|_| BookError::InUse { path: path.clone() })?;
    // The name of a new file is durable only with its folder.
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)?;
    let end = read(&path, &file, &mut each)?;
    cut(&path, &file, end).map_err(io)?;
    file.seek(SeekFrom::Start(end)).map_err(io)?;
    Ok(Loaded { path, file, end })
}

fn read(path: &Path, file: &File, each: &mut impl FnMut(Range<u64>, Entry)) -> Result<u64, BookError> {
    let mut lines = BufReader::with_capacity(1 << 20, file);
    let (mut offset, mut number, mut line) = (0, 0, Vec::new());
    loop {
        line.clear();
        let io = |source| BookError::Io { path: path.to_owned(), source };
        lines.read_until(b'\n', &mut line).map_err(io)?;
        if line.last() != Some(&b'\n') {
            return Ok(offset);
        }
        number += 1;
        let broken = |reason| BookError::Broken { path: path.to_owned(), line: number, offset, reason };
        let entry = parse(&line).map_err(broken)?;
        let end = offset + line.len() as u64;
        each(offset..end, entry);
        offset = end;
    }
}

fn parse(line: &[u8]) -> Result<Entry, String> {
    let entry: Entry = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    if entry.v != FORM {
        return Err(format!("its form is {}, this sandbox reads {FORM}", entry.v));
    }
    Ok(entry)
}

fn cut(path: &Path, file: &File, end: u64) -> std::io::Result<()> {
    let torn = file.metadata()?.len() - end;
    if torn > 0 {
        tracing::warn!(path = %path.display(), offset = end, bytes = torn, "cut off a torn last line of the book");
        file.set_len(end)?;
    }
    file.sync_all()
}
