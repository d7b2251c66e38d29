//! What a service is told at start: by its environment alone, all of it looked at before anything is started.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use banyan_bus::Brokers;
use banyan_net::port::Callers;
use banyan_store::{password_of, sqlx::postgres::PgConnectOptions};

use crate::{LogFilter, LogFormat};

/// The environment, or what a test has in its place.
pub(super) type Variable = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

const POOL: u32 = 8;
const DRAIN_S: u64 = 10;

pub(super) struct Settings {
    pub(super) listen: SocketAddr,
    pub(super) admin_listen: SocketAddr,
    pub(super) database: PgConnectOptions,
    /// The administrator's, from which the modules' are derived; empty for a trusted socket.
    pub(super) password: String,
    pub(super) callers: Callers,
    /// What carries events to and from it.
    pub(super) brokers: Brokers,
    /// What its own calls are signed with, where it makes any.
    pub(super) service_key: Option<PathBuf>,
    /// For what the module itself is told.
    pub(super) variable: Variable,
    pub(super) pool: u32,
    pub(super) drain: Duration,
    pub(super) log: LogFilter,
    pub(super) log_format: LogFormat,
}

impl Settings {
    /// Of the service of that name.
    pub(super) fn read(name: &str, variable: Variable) -> Result<Self, String> {
        let needed = |name: &str| variable(name).ok_or_else(|| format!("set {name}"));
        let admin_listen: SocketAddr = parsed("BANYAN_ADMIN_LISTEN", &needed("BANYAN_ADMIN_LISTEN")?)?;
        if !admin_listen.ip().is_loopback() {
            return Err(format!("BANYAN_ADMIN_LISTEN is on loopback only, not {admin_listen}"));
        }
        let url = needed("DATABASE_URL")?;
        Ok(Self {
            listen: parsed("BANYAN_LISTEN", &needed("BANYAN_LISTEN")?)?,
            admin_listen,
            database: database(&url)?,
            password: password_of(&url).or_else(|| variable("PGPASSWORD")).unwrap_or_default(),
            brokers: brokers(&variable, &needed("BANYAN_KAFKA")?)?,
            service_key: variable("BANYAN_SERVICE_KEY").map(PathBuf::from),
            callers: callers(name, &needed("BANYAN_CALLERS")?)?,
            pool: or(&variable, "BANYAN_POOL", POOL)?,
            drain: Duration::from_secs(or(&variable, "BANYAN_DRAIN_S", DRAIN_S)?),
            log: parsed("BANYAN_LOG", &variable("BANYAN_LOG").unwrap_or_else(|| "warn".to_owned()))?,
            log_format: if variable("BANYAN_LOG_JSON").is_some() { LogFormat::Json } else { LogFormat::Text },
            variable,
        })
    }
}

/// It is not repeated when it is none: there may be a password in it.
fn database(url: &str) -> Result<PgConnectOptions, String> {
    let is_postgres = url.starts_with("postgres://") || url.starts_with("postgresql://");
    let parsed = url.parse().ok().filter(|_| is_postgres);
    parsed.ok_or_else(|| "DATABASE_URL is no address of a database: it begins with postgres://".to_owned())
}

fn parsed<T: FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("{name}: {error}"))
}

pub(super) fn or<T: FromStr<Err: std::fmt::Display>>(
    variable: &Variable,
    name: &str,
    default: T,
) -> Result<T, String> {
    variable(name).map_or(Ok(default), |text| parsed(name, &text))
}

fn callers(name: &str, text: &str) -> Result<Callers, String> {
    Callers::of(name).listed(text).map_err(|why| format!("BANYAN_CALLERS: {why}"))
}

fn brokers(variable: &Variable, addresses: &str) -> Result<Brokers, String> {
    let prefix = variable("BANYAN_KAFKA_PREFIX").unwrap_or_else(|| "banyan".to_owned());
    let brokers = Brokers::new(addresses, &prefix, or(variable, "BANYAN_KAFKA_REPLICAS", 1)?);
    brokers.map_err(|why| format!("BANYAN_KAFKA, BANYAN_KAFKA_PREFIX: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_or_wrong_is_named_before_anything_starts() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).expect("a file");
            path.display().to_string()
        };
        let key = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        let (good, bad) = (file("good.pem", key), file("bad.pem", "no key"));
        let all = [
            ("BANYAN_LISTEN", "127.0.0.1:0".to_owned()),
            ("BANYAN_ADMIN_LISTEN", "127.0.0.1:0".to_owned()),
            ("DATABASE_URL", "postgres://me:secret@localhost/shop".to_owned()),
            ("BANYAN_CALLERS", format!("shop={good}")),
            ("BANYAN_KAFKA", "127.0.0.1:9092".to_owned()),
        ];
        let read = |changed: &str, to: Option<&str>| {
            let (all, changed, to) = (all.clone(), changed.to_owned(), to.map(str::to_owned));
            let variable = move |name: &str| match name == changed {
                true => to.clone(),
                false => all.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone()),
            };
            Settings::read("inventory", Arc::new(variable))
        };
        let settings = read("", None).expect("all is there");
        assert_eq!((settings.pool, settings.password.as_str()), (8, "secret"));
        let named = read("DATABASE_URL", Some("postgres://localhost/shop?user=me&password=hidden"));
        assert_eq!(named.expect("an address").password, "hidden");
        for (name, _) in &all {
            assert_eq!(read(name, None).err(), Some(format!("set {name}")));
        }
        for (name, wrong) in [
            ("BANYAN_LISTEN", "here"),
            ("BANYAN_ADMIN_LISTEN", "0.0.0.0:1"),
            ("DATABASE_URL", "mysql://me:secret@localhost"),
            ("BANYAN_CALLERS", "shop"),
            ("BANYAN_CALLERS", &format!("shop={bad}")),
            ("BANYAN_KAFKA", "here"),
            ("BANYAN_KAFKA_PREFIX", "a shop"),
            ("BANYAN_POOL", "many"),
            ("BANYAN_LOG", "loud"),
        ] {
            let said = read(name, Some(wrong)).err().expect(name);
            assert!(said.contains(name) && !said.contains("secret"), "{name}: {said}");
        }
    }
}
