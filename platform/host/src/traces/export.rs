//! From the queue to the collector: in batches, with a time-out, and never in the shop's way. What is not taken is
//! counted and forgotten: traces are for looking, and the truth is in the database.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    trace::{SpanData, SpanExporter as _},
};
use tokio::{
    sync::mpsc::Receiver,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::CancellationToken;

use super::TraceSettings;

/// What became of spans, since the process began.
pub(super) struct Counts {
    pub(super) sent: AtomicU64,
    pub(super) dropped: AtomicU64,
    pub(super) failed: AtomicU64,
}

pub(super) static COUNTS: Counts =
    Counts { sent: AtomicU64::new(0), dropped: AtomicU64::new(0), failed: AtomicU64::new(0) };

/// A batch is filled in looks this far apart, so that a busy shop does not wake the thread for each span.
const FILL_EVERY: Duration = Duration::from_millis(20);

pub(super) struct Exporter {
    exporter: SpanExporter,
    settings: TraceSettings,
    /// Said once when it begins and once when it ends, not for each batch.
    fails: bool,
}

/// An address for people: without user, password and what follows the question mark.
fn shown(endpoint: &str) -> String {
    let (place, _) = endpoint.split_once('?').unwrap_or((endpoint, ""));
    match place.split_once("://").map(|(scheme, rest)| (scheme, rest.split_once('/').unwrap_or((rest, "")))) {
        Some((scheme, (authority, path))) => {
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            format!("{scheme}://{host}/{path}")
        }
        None => String::new(),
    }
}

impl Exporter {
    pub(super) fn new(settings: TraceSettings) -> Result<Self, String> {
        let client = banyan_net::client().build().map_err(|error| error.to_string())?;
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(client)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(&settings.endpoint)
            .with_timeout(settings.timeout)
            .build()
            .map_err(|error| format!("traces cannot be sent to {}: {error}", shown(&settings.endpoint)))?;
        // The builder itself reads OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES.
        let resource = Resource::builder();
        let resource = match &settings.service {
            Some(service) => resource.with_service_name(service.clone()),
            None => resource,
        };
        exporter.set_resource(&resource.build());
        Ok(Self { exporter, settings, fails: false })
    }

    /// Sends until told to stop, then what is left.
    pub(super) async fn run(mut self, mut spans: Receiver<SpanData>, stop: CancellationToken) {
        while let Some(first) = stop.run_until_cancelled(spans.recv()).await.flatten() {
            let batch = self.fill(first, &mut spans, &stop).await;
            self.send(batch).await;
        }
        spans.close();
        let mut rest = Vec::new();
        while spans.recv_many(&mut rest, self.settings.batch_spans_max).await > 0 {
            self.send(std::mem::take(&mut rest)).await;
        }
    }

    /// Until it is full, or its first span has waited long enough.
    async fn fill(
        &self,
        first: SpanData,
        spans: &mut Receiver<SpanData>,
        stop: &CancellationToken,
    ) -> Vec<SpanData> {
        let (most, until) = (self.settings.batch_spans_max, Instant::now() + self.settings.delay);
        let mut batch = vec![first];
        loop {
            while batch.len() < most
                && let Ok(span) = spans.try_recv()
            {
                batch.push(span);
            }
            if batch.len() >= most || Instant::now() >= until || stop.is_cancelled() {
                return batch;
            }
            let next = until.min(Instant::now() + FILL_EVERY);
            // Elapsed: look again.
            let _ = timeout_at(next, stop.cancelled()).await;
        }
    }

    async fn send(&mut self, batch: Vec<SpanData>) {
        let count = batch.len() as u64;
        let sent = timeout(self.settings.timeout, self.exporter.export(batch)).await;
        let why = match sent {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {:?}", self.settings.timeout)),
        };
        let fails = why.is_some();
        let counter = if fails { &COUNTS.failed } else { &COUNTS.sent };
        counter.fetch_add(count, Ordering::Relaxed);
        let endpoint = shown(&self.settings.endpoint);
        match why {
            Some(why) if !self.fails => {
                tracing::warn!(why, endpoint, correlation = "", "traces are not taken");
            }
            None if self.fails => tracing::warn!(endpoint, correlation = "", "traces are taken again"),
            _ => {}
        }
        self.fails = fails;
    }
}
