//! Whom to call, and what is known of their ways.

use std::{fmt, time::Duration};

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

/// A party outside.
#[derive(Clone, Debug)]
pub struct Callee {
    /// Scheme, host, port, and what comes before each path.
    pub base_url: String,
    /// Sent as bearer token.
    pub secret: Secret,
    /// After which an attempt counts as not answered.
    pub time_out: Duration,
    /// For how long the callee states to keep an idempotency key.
    pub key_memory: Duration,
    /// How long a batch waits for its calls before the slower ones are answered `Pending`.
    pub soft_wait: Duration,
    /// How many calls of one batch are under way at once.
    pub at_once: usize,
}

impl Callee {
    /// Time-out 1 s, keys kept for a day, a soft wait of 150 ms, 64 calls at once.
    pub fn new(base_url: impl Into<String>, secret: impl Into<Secret>) -> Self {
        Self {
            base_url: base_url.into(),
            secret: secret.into(),
            time_out: Duration::from_secs(1),
            key_memory: Duration::from_secs(24 * 60 * 60),
            soft_wait: Duration::from_millis(150),
            at_once: 64,
        }
    }
}
