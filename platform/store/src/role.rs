//! A role per module: it sees its own schema and no other, and cannot hold anything for long.

use hmac::{Hmac, Mac};
use sha2::Sha256;
use sqlx::postgres::PgConnectOptions;

/// Set at the server, per role: a frozen process holds neither locks nor the horizon of readers.
pub const ROLE_SETTINGS: [(&str, &str); 7] = [
    ("idle_in_transaction_session_timeout", "1s"),
    ("statement_timeout", "10s"),
    ("lock_timeout", "1s"),
    ("client_connection_check_interval", "1s"),
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
];

/// The login of a module.
#[must_use]
pub fn role_of(module: &str) -> String {
    format!("banyan_{module}")
}

/// A module's password, derived from the administrator's: two shops on one database agree on it without
/// storing it. The empty one (a private socket, trusted by its folder's mode) stays empty.
#[must_use]
pub fn role_password(administrator: &str, module: &str) -> Option<String> {
    if administrator.is_empty() {
        return None;
    }
    // A key of any length is taken; the error cannot happen.
    let mut mac = Hmac::<Sha256>::new_from_slice(administrator.as_bytes()).ok()?;
    mac.update(role_of(module).as_bytes());
    Some(hex::encode(mac.finalize().into_bytes()))
}

/// How a module logs in where its administrator does: as its role, with its password if there is one.
#[must_use]
pub fn role_options(
    administrator: &PgConnectOptions,
    administrator_password: &str,
    module: &str,
) -> PgConnectOptions {
    let options = administrator.clone().username(&role_of(module));
    match role_password(administrator_password, module) {
        Some(password) => options.password(&password),
        None => options,
    }
}
