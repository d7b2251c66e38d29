//! Metrics: everybody records through the light OpenTelemetry API; here alone are the SDK and the exporter.

use opentelemetry::global;
use opentelemetry_sdk::{Resource, metrics::SdkMeterProvider};
use prometheus::{Encoder, Registry, TextEncoder};

/// What was recorded in this process, for Prometheus to fetch.
pub struct Metrics {
    registry: Registry,
    // Dropped, it would record nothing any more.
    _provider: SdkMeterProvider,
}

/// Why there are no metrics.
#[derive(Debug, thiserror::Error)]
#[error("metrics cannot be exported: {0}")]
pub struct MetricsError(String);

impl Metrics {
    /// Begins to record. To be called before anything is recorded: instruments made earlier record nothing.
    ///
    /// # Errors
    /// When the exporter cannot be made.
    pub fn start(service: &'static str) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let exporter = opentelemetry_prometheus::exporter()
            .with_registry(registry.clone())
            .without_target_info()
            .build()
            .map_err(|error| MetricsError(error.to_string()))?;
        let resource = Resource::builder().with_service_name(service).build();
        let provider = SdkMeterProvider::builder().with_reader(exporter).with_resource(resource).build();
        global::set_meter_provider(provider.clone());
        crate::traces::count();
        Ok(Self { registry, _provider: provider })
    }

    /// In Prometheus's text format, version 0.0.4.
    ///
    /// # Errors
    /// When a metric cannot be written.
    pub fn text(&self) -> Result<String, MetricsError> {
        let mut bytes = Vec::new();
        let encoded = TextEncoder::new().encode(&self.registry.gather(), &mut bytes);
        encoded.map_err(|error| MetricsError(error.to_string()))?;
        String::from_utf8(bytes).map_err(|error| MetricsError(error.to_string()))
    }
}
