//! Where the server's socket is: in the data directory, or in a short directory of its own where the
//! data directory's path is too long for a socket.

use std::env;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::account::Account;
use crate::error::Error;

/// What the kernels take for a socket's path, its final zero excluded; the smallest of those known (macOS).
const SOCKET_PATH_LIMIT_BYTES: usize = 103;

/// What PostgreSQL adds to the directory: `/.s.PGSQL.5432`.
const SOCKET_NAME_BYTES: usize = 15;

/// Longer paths are cut by PostgreSQL's tools (MAXPGPATH less what they add).
const DATA_DIR_LIMIT_BYTES: usize = 900;

/// What the shell that `pg_ctl` starts the server through would interpret.
const UNUSABLE: [char; 6] = ['"', '$', '`', '\\', '\n', '\r'];

/// Checks that PostgreSQL's tools can work with this path at all.
pub(crate) fn check_path(dir: &Path) -> Result<(), Error> {
    let bytes = dir.as_os_str().len();
    if bytes > DATA_DIR_LIMIT_BYTES {
        return Err(Error::PathTooLong { dir: dir.to_path_buf(), limit_bytes: DATA_DIR_LIMIT_BYTES });
    }
    match dir.to_string_lossy().chars().find(|character| UNUSABLE.contains(character)) {
        Some(character) => Err(Error::PathUnusable { dir: dir.to_path_buf(), character }),
        None => Ok(()),
    }
}

/// Chooses the directory for the socket of the server in `data_dir`.
pub(crate) fn choose(data_dir: &Path, account: &Account) -> PathBuf {
    if fits(data_dir) {
        return data_dir.to_path_buf();
    }
    let digest = hex::encode(Sha256::digest(data_dir.as_os_str().as_encoded_bytes()));
    let name = format!("banyan-{}-{}", account.uid, &digest[..12]);
    let of_the_user = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let owned = |dir: &PathBuf| fs::metadata(dir).is_ok_and(|found| found.uid() == account.uid);
    let above = [of_the_user.filter(owned), Some(env::temp_dir())].into_iter().flatten();
    let short = above.map(|above| above.join(&name)).find(|dir| fits(dir));
    short.unwrap_or_else(|| Path::new("/tmp").join(name))
}

/// Makes the socket's directory where it is missing, and refuses one that others can enter.
pub(crate) fn prepare(socket_dir: &Path, account: &Account) -> Result<(), Error> {
    match account.make_private_dir(socket_dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => made.map_err(|error| Error::io(socket_dir, "make", socket_dir, error))?,
    }
    let found = fs::symlink_metadata(socket_dir)
        .map_err(|error| Error::io(socket_dir, "look at", socket_dir, error))?;
    if found.is_dir() && found.uid() == account.uid && found.mode() & 0o077 == 0 {
        return Ok(());
    }
    Err(Error::SocketDirectory { dir: socket_dir.to_path_buf(), user: account.name.clone() })
}

/// Short enough, and of characters that the list of directories in PostgreSQL's settings needs no quotes for.
fn fits(dir: &Path) -> bool {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/_-.+".contains(byte);
    let bytes = dir.as_os_str().as_encoded_bytes();
    bytes.len() + SOCKET_NAME_BYTES <= SOCKET_PATH_LIMIT_BYTES && bytes.iter().all(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_or_odd_path_gets_a_short_directory() {
        let account = Account::for_data_dir(Path::new("/nowhere")).unwrap();
        let short = Path::new("/srv/shop/postgres");
        assert_eq!(choose(short, &account), short);
        for odd in [format!("/srv/{}", "x".repeat(90)), "/srv/a shop".into(), "/srv/a,b".into()] {
            let chosen = choose(Path::new(&odd), &account);
            assert!(fits(&chosen), "{}", chosen.display());
            assert_eq!(chosen, choose(Path::new(&odd), &account));
        }
    }

    #[test]
    fn a_path_that_the_tools_cannot_take_is_refused() {
        let error = |path: &str| check_path(Path::new(path)).unwrap_err();
        assert!(matches!(error("/a$b"), Error::PathUnusable { character: '$', .. }));
        assert!(matches!(error(&"/x".repeat(500)), Error::PathTooLong { .. }));
    }
}
