//! Whom to call, and what is known of their ways.

use std::{fmt, sync::Arc, time::Duration};

use super::{Choice, Probes};

/// Never shown: not in errors, not in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Secret {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// What a caller is known by.
#[derive(Clone)]
pub enum Credential {
    /// Always the same.
    Secret(Secret),
    /// Made anew for each call: a service's token lasts a minute.
    Token(Arc<dyn Fn() -> String + Send + Sync>),
}

impl Credential {
    pub(crate) fn bearer(&self) -> String {
        match self {
            Self::Secret(secret) => secret.reveal().to_owned(),
            Self::Token(mint) => mint(),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(credential)")
    }
}

/// What its statuses mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// As Stripe's: 409 says that the same key is being worked on.
    Gateway,
    /// A module of ours: 200 with an answer per item, or a problem.
    Port,
}

/// How many calls are under way at one instance, at least and at most, and at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// However slow it is.
    pub least: u32,
    /// Before anything is known.
    pub first: u32,
    /// However fast it is.
    pub most: u32,
}

impl Bounds {
    /// It does not adapt: whose capacity is not ours to find out.
    #[must_use]
    pub fn fixed(at_once: u32) -> Self {
        Self { least: at_once, first: at_once, most: at_once }
    }
}

/// A party to call.
#[derive(Clone, Debug)]
pub struct Callee {
    /// Scheme, host, port, and what comes before each path.
    pub base_url: String,
    /// Sent as bearer token.
    pub credential: Credential,
    /// What its statuses mean.
    pub style: Style,
    /// After which an attempt counts as not answered.
    pub time_out: Duration,
    /// After which a call does, whatever was tried.
    pub deadline: Duration,
    /// How often a call is tried at most, unless who calls has a durable retry of its own ([`super::Call::again`]).
    pub attempts: u32,
    /// Which of its instances is asked.
    pub choice: Choice,
    /// Who asks them whether they can work; nobody, where their ways are not ours.
    pub probes: Option<Probes>,
    /// How many calls are under way at each.
    pub bounds: Bounds,
    /// A longer answer is not read to its end.
    pub answer_bytes_max: usize,
    /// For how long the callee states to keep an idempotency key.
    pub key_memory: Duration,
    /// How long a batch waits for its calls before the slower ones are answered `Pending`.
    pub soft_wait: Duration,
    /// How many calls of one batch are under way at once.
    pub at_once: usize,
}

/// Calls under way at a gateway; one more is refused rather than queued.
pub(super) const AT_ONCE_MAX: u32 = 256;
const KIB: usize = 1024;

impl Callee {
    /// Somebody outside: one attempt of 1 s, since who calls them has a durable retry; keys kept for a day, a soft wait of 75 ms (a slow call
    /// holds its batch of orders up for so long; then the others go on, and it is asked for again),
    /// 64 calls of a batch at once, 256 in all.
    pub fn new(base_url: impl Into<String>, secret: impl Into<Secret>) -> Self {
        Self {
            base_url: base_url.into(),
            credential: Credential::Secret(secret.into()),
            style: Style::Gateway,
            time_out: Duration::from_secs(1),
            deadline: Duration::from_secs(2),
            attempts: 1,
            choice: Choice::LessLoaded,
            probes: None,
            bounds: Bounds::fixed(AT_ONCE_MAX),
            answer_bytes_max: 256 * KIB,
            key_memory: Duration::from_secs(24 * 60 * 60),
            soft_wait: Duration::from_millis(75),
            at_once: 64,
        }
    }

    /// A module of ours: attempts of 2 s within 5 s, up to three, instances chosen by load, a limit that adapts.
    pub fn port(base_url: impl Into<String>, credential: Credential) -> Self {
        Self {
            credential,
            style: Style::Port,
            time_out: Duration::from_secs(2),
            deadline: Duration::from_secs(5),
            attempts: 3,
            bounds: Bounds { least: 4, first: 32, most: 200 },
            answer_bytes_max: 8 * KIB * KIB,
            ..Self::new(base_url, "")
        }
    }
}
