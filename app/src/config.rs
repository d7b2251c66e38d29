//! What a shop is told at start, parsed whole before anything starts.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, time::Duration};

use banyan_bus::Brokers;
use banyan_flags::UnleashConfig;
use banyan_net::{
    call::Location,
    identity::{OidcConfig, RatePerSecond},
    port::Callers,
};
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
    /// Modules that are processes of their own and work here too, on the same database: a flag says who is asked.
    pub routed: Elsewhere,
    /// Where flags' files are, if not in the data folder.
    pub flags: Option<PathBuf>,
    /// Who keeps flags instead of files.
    pub unleash: Option<UnleashConfig>,
    /// They have databases of their own, and share none with this shop.
    pub own_databases: bool,
    /// What carries the modules' events; without, they are read where they are written.
    pub kafka: Option<Brokers>,
    /// What calls of other processes are signed with; in the data folder unless it is named.
    pub service_key: Option<PathBuf>,
    /// Where other processes ask the modules that are here.
    pub service_port: Option<ServicePort>,
}

/// Modules that are processes of their own: where each is.
pub type Elsewhere = BTreeMap<&'static str, Location>;

/// Where other processes ask modules, and who they may be.
#[derive(Clone)]
pub struct ServicePort {
    /// Where.
    pub listen: SocketAddr,
    /// Who, at whichever module.
    pub callers: Callers,
}

impl std::fmt::Debug for ServicePort {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ServicePort").field("listen", &self.listen).finish_non_exhaustive()
    }
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
