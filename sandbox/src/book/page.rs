//! Reading lines that are on disk.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use super::Entry;

/// Lines that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PageError {
    #[error("no line of the book begins at offset {0}")]
    NotALine(u64),
    #[error("the book cannot be read: {0}")]
    Io(#[from] std::io::Error),
    #[error("a line of the book cannot be understood: {0}")]
    Broken(#[from] serde_json::Error),
}

/// A line as it stands in the book, without its line feed.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) offset: u64,
    pub(crate) text: Vec<u8>,
}

/// Up to `limit` lines from an offset on, each with where it begins, and where the next page begins.
pub(crate) fn page(
    path: &Path,
    since: u64,
    limit: usize,
    durable: u64,
) -> Result<(Vec<Line>, u64), PageError> {
    let mut file = File::open(path)?;
    check_start(&mut file, since, durable)?;
    let mut lines = BufReader::with_capacity(1 << 16, file.take(durable - since));
    let (mut found, mut offset) = (Vec::new(), since);
    while found.len() < limit {
        let mut text = Vec::new();
        let length = lines.read_until(b'\n', &mut text)?;
        if length == 0 {
            break;
        }
        text.pop();
        found.push(Line { offset, text });
        offset += length as u64;
    }
    Ok((found, offset))
}

/// The one line that begins at an offset.
pub(crate) fn line_at(path: &Path, offset: u64, durable: u64) -> Result<Entry, PageError> {
    let (lines, _) = page(path, offset, 1, durable)?;
    let line = lines.first().ok_or(PageError::NotALine(offset))?;
    Ok(serde_json::from_slice(&line.text)?)
}

fn check_start(file: &mut File, since: u64, durable: u64) -> Result<(), PageError> {
    if since > durable {
        return Err(PageError::NotALine(since));
    }
    let Some(before) = since.checked_sub(1) else { return Ok(()) };
    let mut byte = [0];
    file.seek(SeekFrom::Start(before))?;
    file.read_exact(&mut byte)?;
    if byte != [b'\n'] {
        return Err(PageError::NotALine(since));
    }
    Ok(())
}
