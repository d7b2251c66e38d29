//! The last block of a backup: how long it is, its hash, and when it was begun. A file that was cut, or changed in the middle, is known before
//! anything is made of it. It stands behind the archive's own end, where `tar` reads no more.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

/// As long as a block of a tar archive.
const SEAL_BYTES: u64 = 512;
const NAME: &str = "banyan-backup-2 sha256";
/// Of a time before a backup said when it was begun.
const NAME_BEFORE: &str = "banyan-backup-1 sha256";
/// What stands before that, in milliseconds since 1970.
const BEGUN: &str = ", begun ";
/// Read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Puts the seal behind what a file has.
pub(crate) fn put(file: &mut File, begun: SystemTime) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    let begun_ms = begun.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
    let seal = of(file, length, u64::try_from(begun_ms).ok())?;
    file.seek(SeekFrom::End(0))?;
    file.write_all(&seal)
}

/// Why the file is not what was sealed; nothing if it is.
pub(crate) fn broken(file: &mut File) -> io::Result<Option<&'static str>> {
    let Some((sealed, found)) = last(file)? else { return Ok(Some("it is too short to be one")) };
    if ![NAME, NAME_BEFORE].iter().any(|name| found.starts_with(name.as_bytes())) {
        return Ok(Some("it does not end as a backup does: it was cut, or is another file"));
    }
    let is_whole = of(file, sealed, begun_ms(&found))? == found;
    file.seek(SeekFrom::Start(0))?;
    Ok((!is_whole).then_some("its checksum is another: it was changed after it was made"))
}

/// When it was begun, as its seal says, which is not compared with the rest; nothing where it does not say.
pub(crate) fn begun(file: &mut File) -> io::Result<Option<SystemTime>> {
    let begun_ms = last(file)?.and_then(|(_, found)| begun_ms(&found));
    Ok(begun_ms.map(|ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms)))
}

/// How long a file is without its last block, and that.
fn last(file: &mut File) -> io::Result<Option<(u64, Vec<u8>)>> {
    let length = file.seek(SeekFrom::End(0))?;
    let Some(sealed) = length.checked_sub(SEAL_BYTES) else { return Ok(None) };
    file.seek(SeekFrom::Start(sealed))?;
    let mut found = Vec::new();
    Read::by_ref(file).take(SEAL_BYTES).read_to_end(&mut found)?;
    Ok(Some((sealed, found)))
}

fn begun_ms(seal: &[u8]) -> Option<u64> {
    let line = seal.split(|byte| *byte == b'\n').next().and_then(|line| std::str::from_utf8(line).ok())?;
    line.strip_prefix(NAME)?.split_once(BEGUN)?.1.parse().ok()
}

/// The seal of the first `length` bytes, and of when they were begun.
fn of(file: &mut File, length: u64, begun_ms: Option<u64>) -> io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(0))?;
    let (mut hash, mut left, mut chunk) = (Sha256::new(), length, vec![0; CHUNK_BYTES]);
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let read = file.read(&mut chunk[..most])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        hash.update(&chunk[..read]);
        left -= read as u64;
    }
    let (name, begun) = begun_ms.map_or((NAME_BEFORE, String::new()), |ms| (NAME, format!("{BEGUN}{ms}")));
    hash.update(&begun);
    let seal = format!("{name} {} of {length} bytes{begun}\n", hex::encode(hash.finalize()));
    let mut seal = seal.into_bytes();
    seal.resize(SEAL_BYTES as usize, 0);
    Ok(seal)
}
