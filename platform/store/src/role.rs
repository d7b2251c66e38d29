//! A role per module: it sees its own schema and no other, and cannot hold anything for long.

use hmac::{Hmac, Mac};
use percent_encoding::percent_decode_str;
use sha2::Sha256;
use sqlx::postgres::PgConnectOptions;
use url::form_urlencoded;

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

/// The password in an address, decoded, so that two ways to write it are one: in what follows the question mark, which counts before the
/// place between user and host, as it does for who connects by it.
#[must_use]
pub fn password_of(address: &str) -> Option<String> {
    let (place, query) = address.split_once('?').unwrap_or((address, ""));
    let query = query.split('#').next().unwrap_or_default();
    let named = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "password").last();
    let authority =
        place.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    let user = authority.rsplit_once('@').map_or("", |(user, _)| user);
    let written = user.split_once(':').map(|(_, password)| percent_decode_str(password).decode_utf8_lossy());
    let password = named.map(|(_, password)| password).or(written)?;
    Some(password.into_owned()).filter(|password| !password.is_empty())
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_found_wherever_it_stands_in_an_address() {
        for (address, password) in [
            ("postgres://me:a:b@h/d", Some("a:b")),
            ("postgres://me:a@b@h/d?x=1", Some("a@b")),
            ("postgres://me:p%40ss%20w@h/d", Some("p@ss w")),
            ("postgres://h/d?user=me&password=p%40ss+w", Some("p@ss w")),
            ("postgres://h/d?user=me&%70assword=a", Some("a")),
            ("postgres://h/d?user=me&password=a", Some("a")),
            ("postgres://h/d?password=a#rest", Some("a")),
            ("postgres://me:a@h/d?sslmode=prefer&password=b", Some("b")),
            ("postgres://h/d?password=a&password=b", Some("b")),
            ("postgres://me@h/d?no_password=a", None),
            ("postgres://me:@h/d?password=", None),
            ("postgres:///d?host=/run/me:a@b", None),
            ("h:80", None),
        ] {
            assert_eq!(password_of(address).as_deref(), password, "{address}");
            // Who connects by it means the same.
            let connects = address.parse::<PgConnectOptions>().map(|options| format!("{options:?}"));
            if let (Ok(connects), Some(password)) = (connects, password) {
                assert!(
                    connects.contains(&format!("password: Some(\"{password}\")")),
                    "{address}: {connects}"
                );
            }
        }
    }
}
