//! What the standard variables say of traces
//! (<https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/>). What is not understood is an
//! error that names it: a collector that hears nothing is found out late.

use std::time::Duration;

use opentelemetry_sdk::trace::Sampler;

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const DEFAULT_ENDPOINT: &str = "http://localhost:4318";
const SERVICE: &str = "banyan";

/// A variable that is read, and what counts where it is not set.
#[derive(Clone, Copy, Debug)]
pub struct TraceVariable {
    /// Its name.
    pub name: &'static str,
    /// What counts without it; none where it then says nothing.
    pub default: Option<&'static str>,
    /// Never shown.
    pub is_secret: bool,
}

const VARIABLES: [TraceVariable; 16] = [
    plain("OTEL_SDK_DISABLED", Some("false")),
    plain("OTEL_TRACES_EXPORTER", None),
    plain(ENDPOINT, None),
    plain(TRACES_ENDPOINT, None),
    plain("OTEL_EXPORTER_OTLP_PROTOCOL", Some("http/protobuf")),
    plain("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", None),
    secret("OTEL_EXPORTER_OTLP_HEADERS"),
    secret("OTEL_EXPORTER_OTLP_TRACES_HEADERS"),
    plain("OTEL_EXPORTER_OTLP_TIMEOUT", Some("10000")),
    plain("OTEL_SERVICE_NAME", Some(SERVICE)),
    plain("OTEL_RESOURCE_ATTRIBUTES", None),
    plain("OTEL_TRACES_SAMPLER", Some("parentbased_always_on")),
    plain("OTEL_TRACES_SAMPLER_ARG", None),
    plain("OTEL_BSP_MAX_QUEUE_SIZE", Some("2048")),
    plain("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", Some("512")),
    plain("OTEL_BSP_SCHEDULE_DELAY", Some("5000")),
];

const fn plain(name: &'static str, default: Option<&'static str>) -> TraceVariable {
    TraceVariable { name, default, is_secret: false }
}

const fn secret(name: &'static str) -> TraceVariable {
    TraceVariable { name, default: None, is_secret: true }
}

/// All that are read.
#[must_use]
pub fn trace_variables() -> &'static [TraceVariable] {
    &VARIABLES
}

/// What counts where a variable is not set.
fn default(name: &str) -> &'static str {
    VARIABLES.iter().find(|variable| variable.name == name).and_then(|it| it.default).unwrap_or_default()
}

/// Where traces go, and how.
#[derive(Clone, Debug)]
pub struct TraceSettings {
    pub(super) endpoint: String,
    pub(super) sampler: Sampler,
    /// Unless the variables name another.
    pub(super) service: Option<String>,
    /// Of one export.
    pub(super) timeout: Duration,
    pub(super) queue_spans_max: usize,
    pub(super) batch_spans_max: usize,
    /// How long a span waits for others.
    pub(super) delay: Duration,
}

impl TraceSettings {
    /// What these variables ask for; none, where they do not ask for traces. The process is called `service`, unless they say otherwise.
    ///
    /// # Errors
    /// With the variable that cannot be followed.
    pub fn read(service: &str, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, String> {
        // Empty is as if it were not set, says the specification.
        let said = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        let Some(endpoint) = endpoint(&said)? else { return Ok(None) };
        for name in ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"] {
            if let Some(protocol) = said(name).filter(|protocol| protocol != "http/protobuf") {
                return Err(format!("{name} is {protocol}; the shop speaks http/protobuf alone"));
            }
        }
        let names_service =
            |text: String| text.split(',').any(|pair| pair.trim().starts_with("service.name="));
        let is_named = said("OTEL_SERVICE_NAME").is_some()
            || said("OTEL_RESOURCE_ATTRIBUTES").is_some_and(names_service);
        let queue_spans_max = number(&said, "OTEL_BSP_MAX_QUEUE_SIZE", 1_000_000)?;
        Ok(Some(Self {
            endpoint,
            sampler: sampler(&said)?,
            service: (!is_named).then(|| service.to_owned()),
            timeout: Duration::from_millis(number(&said, "OTEL_EXPORTER_OTLP_TIMEOUT", 600_000)? as u64),
            queue_spans_max,
            batch_spans_max: number(&said, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE", queue_spans_max)?,
            delay: Duration::from_millis(number(&said, "OTEL_BSP_SCHEDULE_DELAY", 600_000)? as u64),
        }))
    }
}

/// The address to send to, if anybody asks for traces.
fn endpoint(said: &impl Fn(&str) -> Option<String>) -> Result<Option<String>, String> {
    let exporter = said("OTEL_TRACES_EXPORTER");
    match exporter.as_deref() {
        None | Some("otlp" | "none") => {}
        Some(other) => return Err(format!("OTEL_TRACES_EXPORTER is {other}; it can be otlp or none")),
    }
    let is_off = said("OTEL_SDK_DISABLED").is_some_and(|word| word.eq_ignore_ascii_case("true"));
    if is_off || exporter.as_deref() == Some("none") {
        return Ok(None);
    }
    let whole = said(TRACES_ENDPOINT).map(|url| (TRACES_ENDPOINT, url));
    let base = said(ENDPOINT).or_else(|| exporter.map(|_| DEFAULT_ENDPOINT.to_owned()));
    let base = base.map(|url| (ENDPOINT, format!("{}/v1/traces", url.trim_end_matches('/'))));
    let Some((name, url)) = whole.or(base) else { return Ok(None) };
    let is_address = url.split_once("://").is_some_and(|(scheme, rest)| {
        matches!(scheme, "http" | "https") && !rest.is_empty() && !rest.starts_with('/')
    });
    if is_address { Ok(Some(url)) } else { Err(format!("{name} is no address: http://HOST:PORT")) }
}

fn sampler(said: &impl Fn(&str) -> Option<String>) -> Result<Sampler, String> {
    let name = said("OTEL_TRACES_SAMPLER").unwrap_or_else(|| default("OTEL_TRACES_SAMPLER").to_owned());
    let by_ratio = || {
        let text = said("OTEL_TRACES_SAMPLER_ARG").unwrap_or_else(|| "1.0".to_owned());
        let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        let ratio =
            ratio.ok_or_else(|| format!("OTEL_TRACES_SAMPLER_ARG is {text}; it is a share from 0 to 1"))?;
        Ok::<_, String>(Sampler::TraceIdRatioBased(ratio))
    };
    let below_parent = |sampler| Sampler::ParentBased(Box::new(sampler));
    Ok(match name.as_str() {
        "always_on" => Sampler::AlwaysOn,
        "always_off" => Sampler::AlwaysOff,
        "traceidratio" => by_ratio()?,
        "parentbased_always_on" => below_parent(Sampler::AlwaysOn),
        "parentbased_always_off" => below_parent(Sampler::AlwaysOff),
        "parentbased_traceidratio" => below_parent(by_ratio()?),
        other => {
            return Err(format!(
                "OTEL_TRACES_SAMPLER is {other}; it can be always_on, always_off, traceidratio, or one of them after parentbased_"
            ));
        }
    })
}

/// A default that is above `most` is `most`; what is said must fit.
fn number(said: &impl Fn(&str) -> Option<String>, name: &str, most: usize) -> Result<usize, String> {
    let Some(text) = said(name) else {
        return Ok(default(name).parse().map_or(most, |it: usize| it.min(most)));
    };
    let number = text.parse().ok().filter(|number| (1..=most).contains(number));
    number.ok_or_else(|| format!("{name} is {text}; it is a number from 1 to {most}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<TraceSettings>, String> {
        TraceSettings::read("banyan", |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn nobody_asks_unless_told() {
        for variables in [
            &[][..],
            &[("OTEL_SERVICE_NAME", "shop"), ("OTEL_TRACES_SAMPLER", "nonsense")],
            &[(ENDPOINT, "")],
            &[(ENDPOINT, "http://c:4318"), ("OTEL_SDK_DISABLED", "True")],
            &[(ENDPOINT, "http://c:4318"), ("OTEL_TRACES_EXPORTER", "none")],
        ] {
            assert!(read(variables).expect("well").is_none(), "{variables:?}");
        }
    }

    #[test]
    fn the_address_of_traces_is_taken_as_it_is_and_the_common_one_gets_its_path() {
        let to = |variables: &[_]| read(variables).expect("well").expect("asked for").endpoint;
        assert_eq!(to(&[(ENDPOINT, "http://c:4318/")]), "http://c:4318/v1/traces");
        assert_eq!(to(&[(ENDPOINT, "http://c:1"), (TRACES_ENDPOINT, "https://d/x")]), "https://d/x");
        assert_eq!(to(&[("OTEL_TRACES_EXPORTER", "otlp")]), "http://localhost:4318/v1/traces");
    }

    #[test]
    fn what_is_not_understood_is_named() {
        for (name, value) in [
            (TRACES_ENDPOINT, "collector"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_TRACES_SAMPLER", "sometimes"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "0"),
            ("OTEL_BSP_SCHEDULE_DELAY", "soon"),
        ] {
            let why = read(&[(ENDPOINT, "http://c:4318"), (name, value)]).expect_err(value);
            assert!(why.contains(name), "{why}");
        }
        let ratio = [
            (ENDPOINT, "http://c"),
            ("OTEL_TRACES_SAMPLER", "traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "2"),
        ];
        assert!(read(&ratio).expect_err("2").contains("OTEL_TRACES_SAMPLER_ARG"));
    }
}
