//! `banyan serve`

use std::{net::SocketAddr, num::NonZeroU32, path::PathBuf, process::ExitCode, time::Duration};

use banyan_bus::Brokers;
use banyan_flags::UnleashConfig;
use banyan_host::StopSignals;
use banyan_net::{
    call::Location,
    identity::{OidcConfig, RatePerSecond},
    port::Callers,
};
use banyan_sandbox::{Profile, ProfileError};
use banyan_store::{password_of, sqlx::postgres::PgConnectOptions};
use clap::{Args, builder::PossibleValuesParser};

use super::Common;
use crate::{
    compose::{self, Swap},
    config::{Config, Elsewhere, MailConfig, Outside, Rates, ServicePort},
    shop::{RunningShop, StartError},
};

/// Modules that are processes of their own: `http://HOST:PORT`, several joined by commas, or `dns://HOST:PORT`. They must know the
/// public half of this shop's `--service-key`, and their events come and go by `--kafka`.
#[derive(Args, Clone)]
struct ElsewhereArgs {
    /// Where catalog is, if it is a process of its own: `http://HOST:PORT`, several joined by commas, or `dns://HOST:PORT`.
    #[arg(long, env = "BANYAN_CATALOG", requires = "kafka", value_name = "ADDRESSES")]
    catalog: Option<Location>,
    /// Where inventory is.
    #[arg(long, env = "BANYAN_INVENTORY", requires = "kafka", value_name = "ADDRESSES")]
    inventory: Option<Location>,
    /// Where payments are.
    #[arg(long, env = "BANYAN_PAYMENTS", requires = "kafka", value_name = "ADDRESSES")]
    payments: Option<Location>,
    /// Where shipping is.
    #[arg(long, env = "BANYAN_SHIPPING", requires = "kafka", value_name = "ADDRESSES")]
    shipping: Option<Location>,
    /// Where orders are.
    #[arg(long, env = "BANYAN_ORDERS", requires = "kafka", value_name = "ADDRESSES")]
    orders: Option<Location>,
    /// Where notifications are.
    #[arg(long, env = "BANYAN_NOTIFICATIONS", requires = "kafka", value_name = "ADDRESSES")]
    notifications: Option<Location>,
    /// Modules that are elsewhere have databases of their own; else each must be on this shop's, and one on another is not called.
    #[arg(long, env = "BANYAN_OWN_DATABASES", conflicts_with = "routed")]
    own_databases: bool,
    /// Modules that work here too, beside their own processes and on the same database: `inventory`, several with commas. A flag says
    /// who is asked, and `banyan route` turns it.
    #[arg(long, env = "BANYAN_ROUTED", value_delimiter = ',', value_parser = PossibleValuesParser::new(compose::MODULES), value_name = "MODULES")]
    routed: Vec<String>,
}

impl ElsewhereArgs {
    /// Those that are elsewhere alone, and those that are here as well.
    fn both(&self) -> Result<(Elsewhere, Elsewhere), String> {
        let elsewhere = self.all();
        if let Some(module) = self.routed.iter().find(|module| !elsewhere.contains_key(module.as_str())) {
            let upper = module.to_uppercase();
            return Err(format!(
                "--routed {module}: a route has two sides, and none is named of its own process: set BANYAN_{upper}"
            ));
        }
        if let Some(module) = self.routed.iter().find(|module| !compose::IN_HERE.contains(&module.as_str())) {
            return Err(format!("--routed {module}: this program has no {module} of its own"));
        }
        let (routed, elsewhere) =
            elsewhere.into_iter().partition(|(module, _)| self.routed.iter().any(|routed| routed == module));
        Ok((elsewhere, routed))
    }

    fn all(&self) -> Elsewhere {
        let all = [
            (catalog_api::NAME, &self.catalog),
            (inventory_api::NAME, &self.inventory),
            (payments_api::NAME, &self.payments),
            (shipping_api::NAME, &self.shipping),
            (orders_api::NAME, &self.orders),
            (notifications_api::NAME, &self.notifications),
        ];
        all.into_iter().filter_map(|(module, at)| Some((module, at.clone()?))).collect()
    }
}

/// Where and how the shop runs.
#[derive(Args, Clone)]
pub(crate) struct ServeArgs {
    /// Where the public API listens.
    #[arg(long, env = "BANYAN_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where the admin API listens: loopback alone.
    #[arg(long, env = "BANYAN_ADMIN_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDRESS")]
    admin_listen: SocketAddr,
    /// Another database than the private one, as an administrator of it.
    #[arg(long, env = "DATABASE_URL", hide_env_values = true, value_name = "URL")]
    database_url: Option<String>,
    /// Another outside world than the private sandbox: `http://HOST:PORT`; its secret is
    /// `BANYAN_GATEWAY_SECRET`, its control token, if any, `BANYAN_CONTROL_TOKEN`; what its webhooks are signed with, if it
    /// sends any, `BANYAN_WEBHOOK_SECRETS` (several, joined by commas, while they are rotated).
    #[arg(long, env = "BANYAN_GATEWAY_URL", value_name = "URL")]
    gateway_url: Option<String>,
    /// The carrier, where it is another than the gateway: `http://HOST:PORT`; its secret is `BANYAN_CARRIER_SECRET`.
    #[arg(long, env = "BANYAN_CARRIER_URL", requires = "gateway_url", value_name = "URL")]
    carrier_url: Option<String>,
    /// Lets faults be injected.
    #[arg(long, env = "BANYAN_ALLOW_FAULTS")]
    allow_faults: bool,
    /// Seeds whom a fault hits.
    #[arg(long, env = "BANYAN_FAULT_SEED", default_value_t = 1)]
    fault_seed: u64,
    /// How the private sandbox misbehaves; `everyday` and others need --allow-faults.
    #[arg(long, env = "BANYAN_SANDBOX_FAULTS", default_value = "none", value_parser = fault_profile)]
    sandbox_faults: String,
    /// After how many seconds a parcel of the private sandbox arrives.
    #[arg(long, env = "BANYAN_SANDBOX_DELIVER_AFTER_S", default_value_t = 3_600, value_parser = clap::value_parser!(u64).range(..=31_536_000))]
    sandbox_deliver_after_s: u64,
    /// For how many seconds stock is held for an order that is not confirmed.
    #[arg(long, env = "BANYAN_HOLD_S", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    hold_s: u64,
    /// Connections of each module's pool.
    #[arg(long, env = "BANYAN_POOL", default_value_t = 8, value_parser = clap::value_parser!(u32).range(2..=100))]
    pool: u32,
    /// How many seconds a stop may take, with that of the private database and sandbox: who of them does not hear is killed.
    #[arg(long, env = "BANYAN_DRAIN_S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=300))]
    drain_s: u64,
    /// Requests a second of each principal, in bursts of twice as many; beyond that 429.
    #[arg(long, env = "BANYAN_RATE_PRINCIPAL", default_value = "200", value_name = "PER_S")]
    rate_principal: NonZeroU32,
    /// Requests a second of each address without a valid token.
    #[arg(long, env = "BANYAN_RATE_ADDRESS", default_value = "5000", value_name = "PER_S")]
    rate_address: NonZeroU32,
    /// Sends mails by this server: `smtps://HOST`, `smtp://HOST?tls=required`, or `smtp://` on loopback. With a
    /// password only from the environment. Without, mails stay in the mailbox.
    #[arg(long, env = "BANYAN_SMTP_URL", hide_env_values = true, requires = "mail_from", value_name = "URL")]
    smtp_url: Option<String>,
    /// Who mails are from: `Name <address>`.
    #[arg(long, env = "BANYAN_MAIL_FROM", value_name = "MAILBOX")]
    mail_from: Option<String>,
    /// After how many seconds an order that is not ended is called late to its customer.
    #[arg(long, env = "BANYAN_LATE_S", default_value_t = 900, value_parser = clap::value_parser!(u64).range(1..=2_592_000))]
    late_s: u64,
    /// An OpenID Connect issuer whose tokens count beside the shop's own: its `iss`, to the letter. Their claim `banyan_role` says
    /// `staff` or `service`; whose token has none is a customer.
    #[arg(long, env = "BANYAN_OIDC_ISSUER", requires_all = ["oidc_audience", "oidc_jwks"], value_name = "URL")]
    oidc_issuer: Option<String>,
    /// The `aud` that its tokens have for this shop.
    #[arg(long, env = "BANYAN_OIDC_AUDIENCE", requires = "oidc_issuer", value_name = "NAME")]
    oidc_audience: Option<String>,
    /// Where its keys are (a JWK set): https, or http on loopback.
    #[arg(long, env = "BANYAN_OIDC_JWKS", requires = "oidc_issuer", value_name = "URL")]
    oidc_jwks: Option<String>,
    #[command(flatten)]
    elsewhere: ElsewhereArgs,
    /// A folder with flags' files, in Unleash's export format, that go before those of the program; in the data folder unless it is named.
    #[arg(long, env = "BANYAN_FLAGS", value_name = "FOLDER")]
    flags: Option<PathBuf>,
    /// An Unleash server that keeps flags instead: `http://HOST:PORT/api`; its client token is `BANYAN_UNLEASH_TOKEN`. Until it answers, and
    /// for good if it never does, they are as the files say.
    #[arg(long, env = "BANYAN_UNLEASH_URL", value_name = "URL")]
    unleash_url: Option<String>,
    /// Between two questions of it, in seconds.
    #[arg(long, env = "BANYAN_UNLEASH_EVERY_S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=600))]
    unleash_every_s: u64,
    /// What this shop signs its calls of other processes with: an Ed25519 key, made at first, in the data folder unless it is named. Its
    /// public half is beside it, in `.pub.pem`.
    #[arg(long, env = "BANYAN_SERVICE_KEY", value_name = "FILE")]
    service_key: Option<PathBuf>,
    /// Where processes of their own ask the modules that are here, each under its name: `http://ADDRESS/orders`.
    #[arg(long, env = "BANYAN_SERVICE_LISTEN", requires = "callers", value_name = "ADDRESS")]
    service_listen: Option<SocketAddr>,
    /// Who they are: `NAME=FILE`, several joined by commas; each file has the public half of the key that one signs with.
    #[arg(long, env = "BANYAN_CALLERS", requires = "service_listen", value_name = "LIST")]
    callers: Option<String>,
    /// Has these brokers of Apache Kafka carry what modules tell each other: `HOST:PORT`, several with commas. Needs a binary that was
    /// built with `--features kafka`.
    #[arg(long, env = "BANYAN_KAFKA", value_name = "BROKERS")]
    kafka: Option<String>,
    /// What topics on them begin with. Shops on one database have it in common, and others never.
    #[arg(long, env = "BANYAN_KAFKA_PREFIX", default_value = "banyan", value_parser = Brokers::prefix)]
    kafka_prefix: String,
    /// On how many brokers a topic is made that is missing.
    #[arg(long, env = "BANYAN_KAFKA_REPLICAS", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=9))]
    kafka_replicas: u16,
}

impl ServeArgs {
    pub(crate) fn with_faults_allowed(self) -> Self {
        Self { allow_faults: true, ..self }
    }

    pub(crate) fn config(&self, common: &Common) -> Result<Config, String> {
        if self.sandbox_faults != "none" && !self.allow_faults {
            return Err("--sandbox-faults needs --allow-faults".to_owned());
        }
        if !self.admin_listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(self.admin_listen).to_string());
        }
        let database = self.database_url.as_deref().map(database).transpose()?;
        if let Some(folder) = self.flags.as_ref().filter(|folder| !folder.is_dir()) {
            return Err(format!("--flags: {} is no folder", folder.display()));
        }
        let (elsewhere, routed) = self.elsewhere.both()?;
        let (database, database_password) = database.map_or((None, String::new()), |(d, p)| (Some(d), p));
        Ok(Config {
            data_dir: std::path::absolute(&common.data).map_err(|error| error.to_string())?,
            listen: self.listen,
            admin_listen: self.admin_listen,
            database,
            database_password,
            outside: self.outside()?,
            sandbox_faults: self.sandbox_faults.clone(),
            sandbox_deliver_after: Duration::from_secs(self.sandbox_deliver_after_s),
            faults: self.allow_faults.then_some(self.fault_seed),
            hold: Duration::from_secs(self.hold_s),
            pool: self.pool,
            drain: Duration::from_secs(self.drain_s),
            mail: self.mail()?,
            late: Duration::from_secs(self.late_s),
            oidc: self.oidc()?,
            rates: Rates {
                principal: RatePerSecond(self.rate_principal),
                address: RatePerSecond(self.rate_address),
            },
            elsewhere,
            routed,
            flags: self.flags.clone(),
            unleash: self.unleash()?,
            own_databases: self.elsewhere.own_databases,
            service_key: self.service_key.clone(),
            service_port: self.service_port()?,
            kafka: self.kafka()?,
        })
    }

    fn service_port(&self) -> Result<Option<ServicePort>, String> {
        let Some((listen, callers)) = self.service_listen.zip(self.callers.as_ref()) else { return Ok(None) };
        let callers = Callers::of("").listed(callers).map_err(|why| format!("--callers: {why}"))?;
        Ok(Some(ServicePort { listen, callers }))
    }

    fn kafka(&self) -> Result<Option<Brokers>, String> {
        let Some(addresses) = &self.kafka else { return Ok(None) };
        if !cfg!(feature = "kafka") {
            return Err(
                "this banyan was built without Kafka: cargo build --release -p banyan --features kafka"
                    .to_owned(),
            );
        }
        let brokers = Brokers::new(addresses, &self.kafka_prefix, self.kafka_replicas);
        brokers.map(Some).map_err(|why| format!("--kafka: {why}"))
    }

    fn unleash(&self) -> Result<Option<UnleashConfig>, String> {
        let Some(url) = &self.unleash_url else { return Ok(None) };
        address("unleash-url", url)?;
        let token = said("BANYAN_UNLEASH_TOKEN")
            .ok_or("set BANYAN_UNLEASH_TOKEN: a client token of the Unleash server")?;
        let url = url.trim_end_matches('/').to_owned();
        Ok(Some(UnleashConfig { url, token, every: Duration::from_secs(self.unleash_every_s) }))
    }

    fn mail(&self) -> Result<Option<MailConfig>, String> {
        let sender = self.mail_from.as_deref().map(compose::mail_sender).transpose();
        sender.map_err(|why| format!("--mail-from: {why}"))?;
        let Some((url, from)) = self.smtp_url.clone().zip(self.mail_from.clone()) else { return Ok(None) };
        if self.elsewhere.notifications.is_some() {
            return Err(
                "--smtp-url is for whoever sends mails: notifications, which are elsewhere".to_owned()
            );
        }
        let mail = MailConfig { url, from };
        compose::mail_server(&mail).map_err(|why| format!("--smtp-url: {why}"))?;
        Ok(Some(mail))
    }

    fn oidc(&self) -> Result<Option<OidcConfig>, String> {
        let named = self.oidc_issuer.clone().zip(self.oidc_audience.clone()).zip(self.oidc_jwks.clone());
        let Some(((issuer, audience), jwks_url)) = named else { return Ok(None) };
        address("oidc-issuer", &issuer)?;
        let url = address("oidc-jwks", &jwks_url)?;
        let is_loopback =
            url.host_str().is_some_and(|host| matches!(host, "127.0.0.1" | "[::1]" | "localhost"));
        if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback) {
            return Err("--oidc-jwks is https, or http on loopback: who can change the keys on their way can be anybody".to_owned());
        }
        Ok(Some(OidcConfig { issuer, audience, jwks_url }))
    }

    fn outside(&self) -> Result<Option<Outside>, String> {
        let webhook_secrets = webhook_secrets()?;
        if self.carrier_url.is_none() && said("BANYAN_CARRIER_SECRET").is_some() {
            return Err(
                "BANYAN_CARRIER_SECRET is set and no carrier is named: set BANYAN_CARRIER_URL".to_owned()
            );
        }
        let Some(url) = &self.gateway_url else { return Ok(None) };
        let known_by = |name: &str| std::env::var(name).map_err(|_| format!("set {name}"));
        let plain = |url: &str| url.trim_end_matches('/').to_owned();
        address("gateway-url", url)?;
        self.carrier_url.as_deref().map(|url| address("carrier-url", url)).transpose()?;
        let secret = known_by("BANYAN_GATEWAY_SECRET")?;
        let carrier = match &self.carrier_url {
            Some(url) => (plain(url), known_by("BANYAN_CARRIER_SECRET")?),
            None => (plain(url), secret.clone()),
        };
        let control = std::env::var("BANYAN_CONTROL_TOKEN").ok();
        Ok(Some(Outside { address: plain(url), secret, carrier, control, webhook_secrets }))
    }
}

/// A variable that says something.
fn said(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What webhooks are signed with. An empty secret is one that somebody meant to say.
fn webhook_secrets() -> Result<Vec<String>, String> {
    let said = said("BANYAN_WEBHOOK_SECRETS").unwrap_or_default();
    let secrets: Vec<String> = said.split(',').map(|secret| secret.trim().to_owned()).collect();
    if !said.is_empty() && secrets.iter().any(String::is_empty) {
        return Err("BANYAN_WEBHOOK_SECRETS is one secret, or several with one comma between two, and has an empty one".to_owned());
    }
    Ok(secrets)
}

/// How to reach a database, and the password.
fn database(url: &str) -> Result<(PgConnectOptions, String), String> {
    let wrong = |why: &dyn std::fmt::Display| format!("DATABASE_URL is no address of a database: {why}");
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err(wrong(&"it begins with postgres://"));
    }
    let options = url.parse().map_err(|error: banyan_store::sqlx::Error| wrong(&error))?;
    // As libpq has it: modules' passwords are derived from whichever the administrator logs in with.
    Ok((options, password_of(url).or_else(|| said("PGPASSWORD")).unwrap_or_default()))
}

/// An address by HTTP. It is not repeated when it is none: there may be a password in it.
fn address(name: &str, text: &str) -> Result<reqwest::Url, String> {
    let url: reqwest::Url = text.parse().map_err(|error| format!("--{name} is no address: {error}"))?;
    let by_http = ["http", "https"].contains(&url.scheme());
    by_http
        .then_some(url)
        .ok_or_else(|| format!("--{name} is no address: it begins with http:// or https://"))
}

fn fault_profile(text: &str) -> Result<String, ProfileError> {
    text.parse::<Profile>().map(|_| text.to_owned())
}

pub(super) async fn serve(common: &Common, args: ServeArgs, swap: Swap) -> Result<ExitCode, String> {
    let mut signals = StopSignals::listen()?;
    let Some(shop) = start(args.config(common)?, swap, &mut signals).await? else {
        return Ok(ExitCode::SUCCESS);
    };
    mention!("the shop is open: {}  (admin {})", shop.running.api, shop.running.admin);
    until_stopped(shop, &mut signals).await
}

/// Starts a shop; none, if a signal came meanwhile. What has begun to start is stopped then as any shop is: the database and the
/// sandbox are processes of their own, and would outlive a start that is dropped half way.
pub(super) async fn start(
    config: Config,
    swap: Swap,
    signals: &mut StopSignals,
) -> Result<Option<RunningShop>, String> {
    let mut starting = std::pin::pin!(RunningShop::start(config, swap));
    let signal = tokio::select! {
        started = &mut starting => return started.map(Some).map_err(|error| error.to_string()),
        signal = signals.next() => signal,
    };
    complain!("{signal}: stopping as soon as the start has come to its end");
    starting.await.map_err(|error| error.to_string())?.stop().await;
    Ok(None)
}

/// Serves until a signal, or until something fails that the shop cannot go on without.
pub(super) async fn until_stopped(
    mut shop: RunningShop,
    signals: &mut StopSignals,
) -> Result<ExitCode, String> {
    let failed = tokio::select! {
        signal = signals.next() => { complain!("\n{signal}: finishing what is under way"); None }
        why = shop.failed() => Some(why),
    };
    let in_time = shop.stop().await;
    match failed {
        Some(why) => Err(format!("stopped: {why}")),
        None if !in_time => {
            Err("stopped, but not everything ended in time; the next start goes on with it".to_owned())
        }
        None => Ok(ExitCode::SUCCESS),
    }
}
