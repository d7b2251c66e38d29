//! What a sandbox is started with.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use crate::faults::{Profile, Rate};
use crate::webhooks::Webhook;

/// What a sandbox is started with.
#[derive(Clone)]
pub struct Config {
    /// Loopback, unless those who call it are elsewhere: it speaks plain HTTP, secrets included. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The folder of the book; made if it is not there.
    pub book_dir: PathBuf,
    /// What callers of gateway and carrier send as `Authorization: Bearer`.
    pub gateway_secret: String,
    /// What callers of `/sandbox` send as `Authorization: Bearer`.
    pub control_token: String,
    /// What faults and ids are drawn from.
    pub seed: u64,
    /// How often what goes wrong.
    pub profile: Profile,
    /// For how long an Idempotency-Key is remembered.
    pub key_memory: Duration,
    /// The delay of the fault `late`.
    pub late_ms: u64,
    /// The delay of the fault `very_late`.
    pub very_late_ms: u64,
    /// The delay of `pm_sandbox_slow`.
    pub slow_ms: u64,
    /// After how many seconds a parcel arrives; none: never.
    pub deliver_after_s: Option<u64>,
    /// How many of them come back instead.
    pub returned: Rate,
    /// Whom the gateway tells of its own accord, if anybody.
    pub webhook: Option<Webhook>,
}

impl Config {
    /// A free port, no faults, keys remembered for a day; late 2 s, very late 20 s, slow 1 s.
    pub fn new(
        book_dir: impl Into<PathBuf>,
        gateway_secret: impl Into<String>,
        control_token: impl Into<String>,
    ) -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            book_dir: book_dir.into(),
            gateway_secret: gateway_secret.into(),
            control_token: control_token.into(),
            seed: 1,
            profile: Profile::none(),
            key_memory: Duration::from_secs(24 * 60 * 60),
            late_ms: 2_000,
            very_late_ms: 20_000,
            slow_ms: 1_000,
            deliver_after_s: None,
            returned: Rate::default(),
            webhook: None,
        }
    }
}

/// Without the secrets.
impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("listen", &self.listen)
            .field("book_dir", &self.book_dir)
            .field("seed", &self.seed)
            .field("profile", &self.profile.to_string())
            .field("key_memory", &self.key_memory)
            .field("late_ms", &self.late_ms)
            .field("very_late_ms", &self.very_late_ms)
            .field("slow_ms", &self.slow_ms)
            .finish_non_exhaustive()
    }
}
