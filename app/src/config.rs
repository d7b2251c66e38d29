//! What a shop is told at start, parsed whole before anything starts.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use banyan_net::identity::{OidcConfig, RatePerSecond};
use banyan_store::sqlx::postgres::PgConnectOptions;

/// A running shop's settings.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where keys, addresses, the private PostgreSQL and the sandbox's book are kept.
    pub data_dir: PathBuf,
    /// Where the public API listens.
    pub listen: SocketAddr,
    /// Where the admin API listens: loopback alone.
    pub admin_listen: SocketAddr,
    /// Another database than the private one, as its administrator.
    pub database: Option<PgConnectOptions>,
    /// The administrator's password, from which the modules' are derived; empty for a trusted socket.
    pub database_password: String,
    /// Other gateways than the private sandbox.
    pub outside: Option<Outside>,
    /// How the sandbox misbehaves, in its own words; see `banyan sandbox --help`.
    pub sandbox_faults: String,
    /// How long the sandbox's parcels take.
    pub sandbox_deliver_after: Duration,
    /// Whether faults may be injected, and from which seed.
    pub faults: Option<u64>,
    /// How long stock is held for an order that is not confirmed.
    pub hold: Duration,
    /// Connections of each module's pool.
    pub pool: u32,
    /// How long a stop may take.
    pub drain: Duration,
    /// Where mails are sent by; without, they stay in the mailbox table.
    pub mail: Option<MailConfig>,
    /// After how long an order that is not ended is called late to its customer.
    pub late: Duration,
    /// An issuer whose tokens count beside the shop's own.
    pub oidc: Option<OidcConfig>,
    /// How many requests one may make.
    pub rates: Rates,
    /// Modules that are processes of their own.
    pub elsewhere: Elsewhere,
    /// What carries the modules' events; without, they are read where they are written.
    pub kafka: Option<KafkaConfig>,
}

/// Modules that are processes of their own, on the same database: where.
#[derive(Clone, Debug, Default)]
pub struct Elsewhere {
    /// Inventory.
    pub inventory: Option<Addresses>,
}

/// Where the instances of a module are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// At these base addresses.
    Fixed(Vec<String>),
    /// At whatever the name resolves to, at that port.
    Dns(String, u16),
}

impl Elsewhere {
    /// The modules' names.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.inventory.iter().map(|_| inventory_api::NAME)
    }

    /// Whether this module is one of them.
    #[must_use]
    pub fn has(&self, module: &str) -> bool {
        self.names().any(|name| name == module)
    }
}

impl std::str::FromStr for Addresses {
    type Err = String;

    /// `http://HOST:PORT`, several joined by commas; or `dns://HOST:PORT`.
    fn from_str(text: &str) -> Result<Self, String> {
        let no_port = || format!("{text} is no dns://HOST:PORT");
        if let Some(name) = text.strip_prefix("dns://") {
            let (host, port) = name.rsplit_once(':').ok_or_else(no_port)?;
            return Ok(Self::Dns(host.to_owned(), port.parse().map_err(|_| no_port())?));
        }
        let address = |one: &str| match one.trim().parse::<reqwest::Url>() {
            Ok(url) if ["http", "https"].contains(&url.scheme()) => Ok(one.trim().to_owned()),
            _ => Err(format!("{one} is no http://HOST:PORT")),
        };
        text.split(',').map(address).collect::<Result<_, _>>().map(Self::Fixed)
    }
}

/// Brokers of Apache Kafka, and the topics on them.
#[derive(Clone, Debug)]
pub struct KafkaConfig {
    /// `HOST:PORT`, several with commas.
    pub brokers: String,
    /// What topics begin with.
    pub prefix: String,
    /// On how many brokers each topic is made.
    pub replicas: u16,
}

/// How mails leave the house.
#[derive(Clone)]
pub struct MailConfig {
    /// `smtps://USER:PASSWORD@HOST`, `smtp://HOST?tls=required`, or `smtp://` on loopback.
    pub url: String,
    /// `Name <address>`.
    pub from: String,
}

impl std::fmt::Debug for MailConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("MailConfig").field("from", &self.from).finish_non_exhaustive()
    }
}

/// Requests a second, in bursts of twice as many.
#[derive(Clone, Copy, Debug)]
pub struct Rates {
    /// Of each principal.
    pub principal: RatePerSecond,
    /// Of each address without a valid token.
    pub address: RatePerSecond,
}

/// The outside world: payment gateway and carrier.
#[derive(Clone)]
pub struct Outside {
    /// `http://HOST:PORT` of the gateway, and of the sandbox's control interface.
    pub address: String,
    /// What it knows us by.
    pub secret: String,
    /// The carrier's address and secret.
    pub carrier: (String, String),
    /// For the sandbox's own control interface: faults, books.
    pub control: Option<String>,
    /// What the gateway signs its webhooks with; more than one while they are rotated, none where it sends none.
    pub webhook_secrets: Vec<String>,
}

impl std::fmt::Debug for Outside {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outside").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Where data is kept unless told otherwise: `/var/lib/banyan` for root (whose home PostgreSQL's user
/// cannot enter), else `$XDG_DATA_HOME/banyan` or `~/.local/share/banyan`.
#[must_use]
pub fn default_data_dir() -> PathBuf {
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/lib/banyan");
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let base = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).or_else(home);
    base.unwrap_or_else(|| PathBuf::from(".")).join("banyan")
}
