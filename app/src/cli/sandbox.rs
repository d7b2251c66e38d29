//! `banyan sandbox`

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use axum::http::Uri;
use banyan_host::StopSignals;
use banyan_sandbox::{Config, Profile, Rate, SystemClock, Webhook, WebhookFaults, serve};
use clap::Args;

/// Runs a payment gateway and a carrier that misbehave as they are told. Secrets come from the environment:
/// `BANYAN_GATEWAY_SECRET` and `BANYAN_CONTROL_TOKEN`.
#[derive(Args)]
pub(super) struct SandboxArgs {
    /// The address, for callers elsewhere than on this machine: it speaks plain HTTP, secrets included.
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    listen: IpAddr,
    /// The port; 0: a free one.
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// Where its book is kept.
    #[arg(long, value_name = "DIR")]
    book: PathBuf,
    /// How it misbehaves: `none`, `everyday`, or cells such as `authorise.timeout=1.5%,book.refuse=1%`.
    #[arg(long, default_value = "none")]
    faults: String,
    /// Seeds whom a fault hits.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// After how long it forgets an idempotency key, in seconds.
    #[arg(long, default_value_t = 86_400)]
    key_memory_s: u64,
    /// How late a late answer is.
    #[arg(long, default_value_t = 2_000)]
    late_ms: u64,
    /// How late a very late one is.
    #[arg(long, default_value_t = 20_000)]
    very_late_ms: u64,
    /// How long the card `pm_sandbox_slow` takes; its key is in flight meanwhile.
    #[arg(long, default_value_t = 1_000)]
    slow_ms: u64,
    /// After how many seconds a parcel arrives.
    #[arg(long, default_value_t = 3_600)]
    deliver_after_s: u64,
    /// How many parcels come back instead: `2%`.
    #[arg(long, default_value = "0%", value_name = "PERCENT")]
    returned: Rate,
    /// Tells this address (`http://HOST:PORT/PATH`) what happens, signed with `BANYAN_WEBHOOK_SECRET`.
    #[arg(long, value_name = "URL")]
    webhook_url: Option<Uri>,
    /// Of what types of events it tells.
    #[arg(long, value_delimiter = ',', default_value = "charge.refunded", value_name = "TYPES")]
    webhook_events: Vec<String>,
    /// What goes wrong with them on their way: `none`, or `twice=5%,late=5%`.
    #[arg(long, default_value = "none")]
    webhook_faults: WebhookFaults,
}

pub(super) async fn sandbox(args: SandboxArgs) -> Result<ExitCode, String> {
    let secret = |name: &str| std::env::var(name).map_err(|_| format!("set {name}"));
    let profile: Profile = args.faults.parse().map_err(|error| format!("--faults: {error}"))?;
    let webhook = match args.webhook_url {
        Some(url) => Some(Webhook {
            url,
            secret: secret("BANYAN_WEBHOOK_SECRET")?,
            events: args.webhook_events,
            faults: args.webhook_faults,
        }),
        None => None,
    };
    let config = Config {
        webhook,
        deliver_after_s: Some(args.deliver_after_s),
        returned: args.returned,
        listen: SocketAddr::new(args.listen, args.port),
        seed: args.seed,
        profile,
        key_memory: Duration::from_secs(args.key_memory_s),
        late_ms: args.late_ms,
        very_late_ms: args.very_late_ms,
        slow_ms: args.slow_ms,
        ..Config::new(args.book, secret("BANYAN_GATEWAY_SECRET")?, secret("BANYAN_CONTROL_TOKEN")?)
    };
    let mut signals = StopSignals::listen()?;
    let ready = |bound: SocketAddr| {
        mention!("listening on {bound}");
    };
    let stop = async move {
        signals.next().await;
    };
    serve(config, Arc::new(SystemClock::new()), ready, stop).await.map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}
