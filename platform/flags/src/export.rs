//! A flag's file: what Unleash exports, and imports.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use time::{Date, OffsetDateTime, format_description::well_known::Rfc3339, macros::format_description};
use unleash_types::client_features::{ClientFeature, Strategy};

use crate::WEIGHTS_SUM;

/// What the engine evaluates and a server takes: older ones (`userWithId`, `gradualRollout...`) the engine knows, and no server imports.
const STRATEGIES: [&str; 4] = ["default", "flexibleRollout", "remoteAddress", "applicationHostname"];
/// The parameter that is a percentage.
const ROLLOUT: &str = "rollout";
const NAME_CHARACTERS_MAX: usize = 100;

/// A flag as its file says.
#[derive(Clone, Debug)]
pub struct Flag {
    /// Its name, and its file's.
    pub name: String,
    /// What it is for.
    pub purpose: String,
    /// Who looks after it: its tag `owner`.
    pub owner: String,
    /// Since when it is there: its tag `since`.
    pub since: Date,
    /// The day when it must be gone: its tag `removal`.
    pub removal: Date,
    /// What holds while nobody knows it: its tag `default`.
    pub default: String,
    /// Whether it is on.
    pub enabled: bool,
    /// How many of a thousand keys have each variant, where it has any.
    pub weights: BTreeMap<String, u16>,
    /// As the engine takes it.
    pub(crate) feature: Value,
    export: Value,
}

/// Why a text is no flag.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("flag {name}: {why}")]
pub struct FlagError {
    /// Of which file.
    pub name: String,
    /// What is wrong, and what it must be.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Export {
    features: Vec<Feature>,
    feature_strategies: Vec<Map<String, Value>>,
    feature_environments: Vec<Environment>,
    #[serde(default)]
    feature_tags: Vec<Tag>,
}

#[derive(Deserialize)]
struct Feature {
    name: String,
    description: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Environment {
    /// Unleash's import dies of an environment whose two names differ.
    name: String,
    feature_name: String,
    enabled: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Tag {
    tag_type: String,
    tag_value: String,
}

impl Flag {
    /// Reads the file of the flag `name`.
    ///
    /// # Errors
    /// When it is none; the error says what in it is wrong.
    pub fn parse(name: &str, text: &str) -> Result<Self, FlagError> {
        let export = serde_json::from_str(text).map_err(|error| format!("it is no JSON: {error}"));
        export
            .and_then(|export| Self::of(name, export))
            .map_err(|why| FlagError { name: name.to_owned(), why })
    }

    fn of(name: &str, export: Value) -> Result<Self, String> {
        let read =
            Export::deserialize(&export).map_err(|error| format!("it is no export of Unleash's: {error}"))?;
        let [feature] = &read.features[..] else {
            return Err(format!("a file has one flag in `features`, not {}", read.features.len()));
        };
        if feature.name != name || name.chars().count() > NAME_CHARACTERS_MAX {
            return Err(format!("its file has another name than the flag in it, {:?}", feature.name));
        }
        let [environment] = &read.feature_environments[..] else {
            return Err(format!(
                "`featureEnvironments` has one entry, not {}",
                read.feature_environments.len()
            ));
        };
        if environment.name != name || environment.feature_name != name {
            return Err("`name` and `featureName` in `featureEnvironments` are the flag's".to_owned());
        }
        let tag = |wanted: &str| {
            let tag = read.feature_tags.iter().find(|tag| tag.tag_type == wanted);
            tag.map(|tag| tag.tag_value.clone()).ok_or_else(|| format!("it has no tag `{wanted}`"))
        };
        let purpose = feature.description.clone().filter(|purpose| !purpose.trim().is_empty());
        let feature = client_feature(name, environment.enabled, &read.feature_strategies)?;
        let (weights, default) = (weights_of(&feature), tag("default")?);
        if !weights.is_empty() && !weights.contains_key(&default) {
            return Err(format!("its tag `default` is {default:?}, which is none of its variants"));
        }
        Ok(Self {
            name: name.to_owned(),
            purpose: purpose.ok_or("it has no description, which says what it is for")?,
            owner: tag("owner")?,
            since: date("since", &tag("since")?)?,
            removal: date("removal", &tag("removal")?)?,
            default,
            enabled: environment.enabled,
            weights,
            feature: serde_json::to_value(&feature).map_err(|error| error.to_string())?,
            export,
        })
    }

    /// Whether another file of the flag can take this one's place: whoever reads it knows its variants and no others.
    pub(crate) fn is_turned_by(&self, other: &Self) -> Result<(), FlagError> {
        if self.weights.keys().eq(other.weights.keys()) {
            return Ok(());
        }
        let known: Vec<&str> = self.weights.keys().map(String::as_str).collect();
        let why = format!("its variants are {}, no more and no fewer", known.join(", "));
        Err(FlagError { name: self.name.clone(), why })
    }

    /// The same flag with other weights in its first strategy.
    ///
    /// # Errors
    /// When those are no weights of its variants.
    pub fn with(&self, weights: &BTreeMap<&str, u16>) -> Result<Self, FlagError> {
        let mut export = self.export.clone();
        let wrong = |why: String| FlagError { name: self.name.clone(), why };
        if let Some(unknown) = weights.keys().find(|variant| !self.weights.contains_key(**variant)) {
            let known: Vec<&str> = self.weights.keys().map(String::as_str).collect();
            return Err(wrong(format!("it has no variant {unknown:?}, but {}", known.join(", "))));
        }
        let variants = export["featureStrategies"][0]["variants"].as_array_mut();
        for variant in variants.into_iter().flatten() {
            let weight = variant["name"].as_str().and_then(|name| weights.get(name)).copied();
            variant["weight"] = json!(weight.unwrap_or(0));
        }
        Self::of(&self.name, export).map_err(wrong)
    }

    /// Its file.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:#}\n", self.export)
    }
}

fn client_feature(
    name: &str,
    enabled: bool,
    strategies: &[Map<String, Value>],
) -> Result<ClientFeature, String> {
    let is_on = |strategy: &&Map<String, Value>| strategy.get("disabled") != Some(&Value::Bool(true));
    let strategies: Result<Vec<Strategy>, String> = strategies.iter().filter(is_on).map(strategy).collect();
    Ok(ClientFeature {
        name: name.to_owned(),
        enabled,
        strategies: Some(strategies?),
        ..ClientFeature::default()
    })
}

fn strategy(exported: &Map<String, Value>) -> Result<Strategy, String> {
    let name = exported.get("name").and_then(Value::as_str).unwrap_or_default();
    if !STRATEGIES.contains(&name) {
        return Err(format!("{name:?} is no strategy; there are {}", STRATEGIES.join(", ")));
    }
    let mut strategy = Strategy::deserialize(Value::Object(exported.clone()))
        .map_err(|error| format!("its strategy {name}: {error}"))?;
    for (parameter, value) in strategy.parameters.iter().flatten() {
        if parameter == ROLLOUT && !value.parse::<u8>().is_ok_and(|it| it <= 100) {
            return Err(format!("{parameter} of {name} is {value:?}, and must be 0 to 100"));
        }
    }
    for constraint in strategy.constraints.iter().flatten() {
        let operator = serde_json::to_value(&constraint.operator).unwrap_or_default();
        let is_of_time = operator.as_str().is_some_and(|operator| operator.starts_with("DATE_"));
        let time = constraint.value.as_deref().unwrap_or_default();
        if is_of_time && OffsetDateTime::parse(time, &Rfc3339).is_err() {
            return Err(format!(
                "a constraint on {} is of {time:?}, which is no time as in RFC 3339",
                constraint.context_name
            ));
        }
    }
    let Some(variants) = strategy.variants.as_mut().filter(|variants| !variants.is_empty()) else {
        return Ok(strategy);
    };
    let sum: i64 = variants.iter().map(|variant| i64::from(variant.weight)).sum();
    if sum != i64::from(WEIGHTS_SUM) || variants.iter().any(|variant| variant.weight < 0) {
        return Err(format!("the weights of its variants sum up to {sum}, and must to {WEIGHTS_SUM}"));
    }
    // As the server does when it takes an export: which keys get which variant depends on it.
    variants.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(strategy)
}

/// Of its first strategy's variants.
pub(crate) fn weights_of(feature: &ClientFeature) -> BTreeMap<String, u16> {
    let first = feature.strategies.iter().flatten().next();
    let variants = first.and_then(|strategy| strategy.variants.as_ref()).into_iter().flatten();
    variants
        .map(|variant| (variant.name.clone(), u16::try_from(variant.weight).unwrap_or_default()))
        .collect()
}

fn date(tag: &str, text: &str) -> Result<Date, String> {
    Date::parse(text, format_description!("[year]-[month]-[day]"))
        .map_err(|_| format!("its tag `{tag}` is {text:?}, and must be a day as 2026-12-31"))
}
