//! The server's settings: ours in a file of their own, which postgresql.conf includes.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::Error;
use crate::site::Site;

/// The file of our settings, in the data directory; written again at each start.
const FILE: &str = "banyan.conf";

const INCLUDE: &str = "include_if_exists = 'banyan.conf'";

/// Durable, and sensible for a small machine.
const OURS: [(&str, &str); 18] = [
    ("listen_addresses", ""),
    ("unix_socket_permissions", "0700"),
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    ("shared_buffers", "256MB"),
    ("max_connections", "120"),
    ("max_locks_per_transaction", "256"),
    // A module's schema can move to a database of its own while it is written.
    ("wal_level", "logical"),
    ("wal_compression", "on"),
    ("max_wal_size", "2GB"),
    ("checkpoint_timeout", "15min"),
    ("random_page_cost", "1.1"),
    // A client that vanished while its statement runs is noticed.
    ("client_connection_check_interval", "1s"),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("log_line_prefix", "%m [%p] %q%u@%d "),
    ("password_encryption", "scram-sha-256"),
];

/// Writes our settings and has postgresql.conf include them; files that are as they should be stay untouched.
pub(crate) fn write(site: &Site) -> Result<(), Error> {
    let file = site.data_dir.join(FILE);
    let main = site.data_dir.join("postgresql.conf");
    let failed = |error| Error::io(&site.data_dir, "write settings to", &file, error);
    replace(site, &file, &text(site)).map_err(failed)?;
    let before = fs::read_to_string(&main).map_err(failed)?;
    if before.lines().any(|line| line.trim() == INCLUDE) {
        return Ok(());
    }
    let after = format!(
        "{before}\n# Written again at each start; your own settings go below this line.\n{INCLUDE}\n"
    );
    replace(site, &main, &after).map_err(failed)
}

fn text(site: &Site) -> String {
    let socket_dir = site.socket_dir.to_string_lossy().into_owned();
    let ours = OURS.iter().map(|(name, value)| line(name, value));
    let socket = [line("unix_socket_directories", &socket_dir), line("port", &site.port.to_string())];
    let asked_for = site.settings.iter().map(|(name, value)| line(name, value));
    ours.chain(socket).chain(asked_for).collect()
}

/// PostgreSQL doubles quotes, and reads backslashes as C does.
fn line(name: &str, value: &str) -> String {
    let quoted = value.replace('\\', "\\\\").replace('\'', "''").replace('\n', "\\n");
    format!("{name} = '{quoted}'\n")
}

/// Replaces a file whole, so that a full disk or a kill leaves the old one.
fn replace(site: &Site, path: &Path, text: &str) -> io::Result<()> {
    if fs::read_to_string(path).is_ok_and(|before| before == text) {
        return Ok(());
    }
    let next = path.with_extension("next");
    fs::write(&next, text)?;
    fs::File::open(&next)?.sync_all()?;
    site.account.give(&next)?;
    fs::rename(&next, path)
}

#[cfg(test)]
mod tests {
    use super::line;

    #[test]
    fn values_are_quoted() {
        assert_eq!(line("a", "it's"), "a = 'it''s'\n");
        assert_eq!(line("a", "c:\\d\n"), "a = 'c:\\\\d\\n'\n");
    }
}
