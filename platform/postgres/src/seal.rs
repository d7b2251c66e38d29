//! The last block of a backup: how long it is, and its hash. A file that was cut, or changed in the middle, is known before anything is
//! made of it. It stands behind the archive's own end, where `tar` reads no more.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use sha2::{Digest, Sha256};

/// As long as a block of a tar archive.
const SEAL_BYTES: u64 = 512;
const NAME: &str = "banyan-backup-1 sha256";
/// Read at a time.
const CHUNK_BYTES: usize = 1 << 20;

/// Puts the seal behind what a file has.
pub(crate) fn put(file: &mut File) -> io::Result<()> {
    let length = file.seek(SeekFrom::End(0))?;
    let seal = of(file, length)?;
    file.seek(SeekFrom::End(0))?;
    file.write_all(&seal)
}

/// Why the file is not what was sealed; nothing if it is.
pub(crate) fn broken(file: &mut File) -> io::Result<Option<&'static str>> {
    let length = file.seek(SeekFrom::End(0))?;
    let Some(sealed) = length.checked_sub(SEAL_BYTES) else { return Ok(Some("it is too short to be one")) };
    file.seek(SeekFrom::Start(sealed))?;
    let mut found = Vec::new();
    Read::by_ref(file).take(SEAL_BYTES).read_to_end(&mut found)?;
    if !found.starts_with(NAME.as_bytes()) {
        return Ok(Some("it does not end as a backup does: it was cut, or is another file"));
    }
    let is_whole = of(file, sealed)? == found;
    file.seek(SeekFrom::Start(0))?;
    Ok((!is_whole).then_some("its checksum is another: it was changed after it was made"))
}

/// The seal of the first `length` bytes.
fn of(file: &mut File, length: u64) -> io::Result<Vec<u8>> {
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
    let mut seal = format!("{NAME} {} of {length} bytes\n", hex::encode(hash.finalize())).into_bytes();
    seal.resize(SEAL_BYTES as usize, 0);
    Ok(seal)
}
