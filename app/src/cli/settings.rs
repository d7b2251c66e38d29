//! Where settings come from: the command line, before the environment, before a file, before the defaults. All of them are the
//! arguments of `serve`, under the same names; what is unknown is an error that names the nearest that is known.

use std::{collections::BTreeMap, ffi::OsString, fs, path::PathBuf, process::ExitCode};

use banyan_host::trace_variables;
use banyan_store::password_of;
use clap::{Arg, ArgMatches, Args, Command, CommandFactory, FromArgMatches, parser::ValueSource};
use serde_json::json;

use super::{Cli, Common, serve::ServeArgs};
use crate::config::default_data_dir;

/// In the data folder, unless `--config` names another.
const FILE: &str = "banyan.toml";
/// A settings file is written by hand.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// The commands that a file speaks to.
const SERVERS: [&str; 2] = ["serve", RUN];
const RUN: &str = "run";
/// What `serve` reads and nobody may see on a command line.
const SECRETS: [&str; 5] = [
    "BANYAN_GATEWAY_SECRET",
    "BANYAN_CARRIER_SECRET",
    "BANYAN_CONTROL_TOKEN",
    "BANYAN_WEBHOOK_SECRETS",
    "BANYAN_UNLEASH_TOKEN",
];
/// What is shown of a secret.
const MASKED: &str = "(secret)";
/// Read by the commands that ask a shop, in whose terminal one may be started too. What `sandbox` alone reads (`BANYAN_WEBHOOK_SECRET`) is not
/// among them: for a shop it is a slip of the pen.
const CLIENTS_VARIABLE: &str = "BANYAN_TOKEN";
/// What tests and the lab are told: known, and nobody's guess.
const TESTS_VARIABLES: [&str; 8] = [
    "BANYAN_BIN",
    "BANYAN_SEED",
    "BANYAN_STAGE",
    "BANYAN_STRIPE_URL",
    "BANYAN_KAFKA_JARS",
    "BANYAN_CHAOS_UNTIL",
    "BANYAN_CHAOS_ROTATE",
    "BANYAN_UPDATE_PACTS",
];

/// Prints what is in force and where it comes from, secrets masked; exit code 1 when something cannot be.
#[derive(Args)]
pub(super) struct ConfigArgs {
    /// Of which command: `run` has defaults of its own.
    #[arg(long = "for", value_parser = SERVERS, default_value = SERVERS[0], value_name = "COMMAND")]
    of: String,
    /// As one JSON object.
    #[arg(long)]
    json: bool,
}

/// A file's settings, by argument.
pub(super) struct File {
    path: PathBuf,
    values: BTreeMap<String, String>,
}

impl File {
    /// The file that these arguments name, or the data folder's, if there is one.
    pub(super) fn find(args: &[OsString]) -> Result<Self, String> {
        let named = named(args, "--config", "BANYAN_CONFIG").map(PathBuf::from);
        let data = named_folder(args);
        let path = named.clone().unwrap_or_else(|| data.join(FILE));
        if named.is_none() && !path.exists() {
            return Ok(Self { path, values: BTreeMap::new() });
        }
        let refused = |why: String| format!("{}: {why}", path.display());
        let length = fs::metadata(&path).map_err(|error| refused(error.to_string()))?.len();
        if length > FILE_BYTES_MAX {
            return Err(refused(format!("a settings file has at most {FILE_BYTES_MAX} bytes")));
        }
        let text = fs::read_to_string(&path).map_err(|error| refused(error.to_string()))?;
        let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
            refused(error.to_string().split_whitespace().collect::<Vec<_>>().join(" "))
        })?;
        let values =
            table.into_iter().map(|(key, value)| Ok((key.clone(), plain(&key, &value).map_err(&refused)?)));
        let values = values.collect::<Result<BTreeMap<_, _>, String>>()?;
        let known = keys();
        for (key, value) in &values {
            if !known.contains(key) {
                return Err(refused(format!("there is no setting {key}{}", nearest(key, &known))));
            }
            if password_of(value).is_some() {
                let variable = variable_of(key);
                return Err(refused(format!(
                    "{key} has a password in it, and secrets come from the environment alone: set {variable}"
                )));
            }
        }
        Ok(Self { path, values })
    }

    /// A refusal in the words of whoever gave the value: it speaks of arguments, and the value may come from a variable, or from this
    /// file.
    pub(super) fn in_their_words(&self, args: &[OsString], refusal: &str) -> String {
        let said = |key: &str| {
            let (flag, with_value) = (format!("--{key}"), format!("--{key}="));
            args.iter().filter_map(|arg| arg.to_str()).any(|arg| arg == flag || arg.starts_with(&with_value))
        };
        // The longest first: one name may begin another.
        let mut all = with_variables();
        all.sort_by_key(|(key, _)| std::cmp::Reverse(key.len()));
        all.iter().filter(|(key, _)| !said(key)).fold(refusal.to_owned(), |text, (key, variable)| {
            if std::env::var_os(variable).is_some() {
                renamed(&text, key, variable)
            } else if self.values.contains_key(key) {
                renamed(&text, key, &format!("{key} in {}", self.path.display()))
            } else {
                text
            }
        })
    }

    /// The command line, with the file's values as its defaults.
    pub(super) fn command(&self) -> Command {
        SERVERS.into_iter().fold(Cli::command(), |command, name| {
            command.mut_subcommand(name, |server| {
                self.values.iter().fold(server, |server, (key, value)| {
                    let (id, value) = (key.replace('-', "_"), value.clone());
                    server.mut_arg(id, |arg| arg.default_value(value))
                })
            })
        })
    }
}

/// A variable that nothing reads is one that somebody mistyped.
pub(super) fn check_environment() -> Result<(), String> {
    let known = variables();
    for (name, _) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with("BANYAN_")) else { continue };
        if !known.iter().any(|known| known == name) {
            let may_be_meant: Vec<String> =
                known.iter().filter(|known| !TESTS_VARIABLES.contains(&known.as_str())).cloned().collect();
            return Err(format!("there is no variable {name}{}", nearest(name, &may_be_meant)));
        }
    }
    Ok(())
}

/// `banyan config`
pub(super) fn config(
    (file, given): (&File, &ArgMatches),
    common: &Common,
    args: &ConfigArgs,
) -> Result<ExitCode, String> {
    let everywhere = file.command();
    let everywhere = everywhere.get_arguments().filter(|arg| arg.get_env().is_some());
    let rows: Vec<Row> = everywhere
        .map(|arg| row(arg, given, file))
        .chain(of_server(&args.of, file, common)?)
        .chain(SECRETS.map(secret))
        .chain(traces())
        .collect();
    if args.json {
        let all: serde_json::Map<String, serde_json::Value> = rows
            .into_iter()
            .map(|(key, value, origin)| (key, json!({"value": value, "origin": origin})))
            .collect();
        say!("{}", serde_json::Value::Object(all));
    } else {
        print(&args.of, &rows);
        others(&args.of, &rows, file, common);
    }
    Ok(ExitCode::SUCCESS)
}

/// What a command that serves would take; refused as it would be.
fn of_server(name: &str, file: &File, common: &Common) -> Result<Vec<Row>, String> {
    let command = file.command();
    let words = ["banyan".into(), "--data".into(), common.data.as_os_str().to_owned(), name.into()];
    let matches = command.clone().try_get_matches_from(words).map_err(|error| super::sentence(&error))?;
    let server = command.find_subcommand(name).ok_or("there is no such command")?;
    let served = matches.subcommand_matches(name).ok_or("there is no such command")?;
    // All that can be refused before anything is started.
    let read = ServeArgs::from_arg_matches(served).map_err(|error| super::sentence(&error))?;
    let read = if name == RUN { read.with_faults_allowed() } else { read };
    read.config(common)?;
    let rows = settings(server).map(|arg| match key(arg) {
        key if name == RUN && key == "allow-faults" => (key, "true".to_owned(), "always, of run".to_owned()),
        _ => row(arg, served, file),
    });
    Ok(rows.collect())
}

/// Under each other, as wide as the widest.
fn print(of: &str, rows: &[Row]) {
    let width = |at: fn(&Row) -> &str| rows.iter().map(|row| at(row).chars().count()).max().unwrap_or(0);
    let (keys, values) = (width(|row| &row.0), width(|row| &row.1));
    say!("{:<keys$}  {:<values$}  where it comes from", format!("banyan {of}"), "value");
    for (key, value, origin) in rows {
        say!("{key:<keys$}  {value:<values$}  {origin}");
    }
}

/// What another command that serves would do otherwise.
fn others(of: &str, rows: &[Row], file: &File, common: &Common) {
    for other in SERVERS.into_iter().filter(|name| *name != of) {
        let Ok(theirs) = of_server(other, file, common) else { continue };
        let differs =
            theirs.iter().filter(|row| !rows.iter().any(|ours| (&ours.0, &ours.1) == (&row.0, &row.1)));
        let differs: Vec<String> = differs.map(|(key, value, _)| format!("{key} {value}")).collect();
        if !differs.is_empty() {
            say!("banyan {other} has {}: --for {other}", differs.join(", "));
        }
    }
}

/// A setting, its value, and where that comes from.
type Row = (String, String, String);

fn row(arg: &Arg, given: &ArgMatches, file: &File) -> Row {
    let (id, key) = (arg.get_id().as_str(), key(arg));
    let raw = given.get_raw(id).and_then(|mut values| values.next()).and_then(|value| value.to_str());
    let value = match raw {
        // An address may hold a password.
        Some(value) if arg.is_hide_env_values_set() || password_of(value).is_some() => MASKED.to_owned(),
        Some(value) => value.to_owned(),
        None => String::new(),
    };
    let origin = match given.value_source(id) {
        Some(ValueSource::EnvVariable) => {
            format!("environment, {}", arg.get_env().unwrap_or_default().to_string_lossy())
        }
        Some(ValueSource::CommandLine) => "command line".to_owned(),
        _ if file.values.contains_key(&key) => format!("file, {}", file.path.display()),
        Some(_) => "default".to_owned(),
        None => "not set".to_owned(),
    };
    (key, value, origin)
}

/// Whether there is one, and never what it is.
fn secret(name: &str) -> Row {
    let is_set = std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let (value, origin) = if is_set { (MASKED, "environment") } else { ("", "not set") };
    (name.to_owned(), value.to_owned(), origin.to_owned())
}

/// What is read of the standard variables of OpenTelemetry.
fn traces() -> impl Iterator<Item = Row> {
    trace_variables().iter().map(|variable| {
        let said = std::env::var(variable.name).ok().filter(|value| !value.is_empty());
        let origin = match (&said, variable.default) {
            (Some(_), _) => "environment",
            (None, Some(_)) => "default",
            (None, None) => "not set",
        };
        let value = match said {
            // An address may hold a password.
            Some(value) if variable.is_secret || value.contains('@') || password_of(&value).is_some() => {
                MASKED.to_owned()
            }
            Some(value) => value,
            None => variable.default.unwrap_or_default().to_owned(),
        };
        (variable.name.to_owned(), value, origin.to_owned())
    })
}

/// What `serve` can be told.
fn settings(serve: &Command) -> impl Iterator<Item = &Arg> {
    serve.get_arguments().filter(|arg| arg.get_env().is_some() && !arg.is_global_set())
}

fn key(arg: &Arg) -> String {
    arg.get_long().unwrap_or_default().to_owned()
}

/// All that a variable can say: what `serve` can be told, and what every command can. With that variable.
fn with_variables() -> Vec<(String, String)> {
    let command = Cli::command();
    let of_serve = command.find_subcommand("serve").into_iter().flat_map(settings);
    let all = of_serve.chain(command.get_arguments());
    all.filter_map(|arg| Some((key(arg), arg.get_env()?.to_string_lossy().into_owned()))).collect()
}

fn keys() -> Vec<String> {
    let command = Cli::command();
    command.find_subcommand("serve").into_iter().flat_map(settings).map(key).collect()
}

/// What is typed stands in everybody's list of processes, and in a history.
///
/// # Errors
/// When an address that was typed has a password in it; says which variable to set.
pub(super) fn check_typed(given: &ArgMatches) -> Result<(), String> {
    let Some((name, given)) = given.subcommand() else { return Ok(()) };
    let command = Cli::command();
    let of_command = command.find_subcommand(name).into_iter().flat_map(Command::get_arguments);
    for arg in of_command {
        let id = arg.get_id().as_str();
        let is_typed = matches!(given.try_contains_id(id), Ok(true))
            && given.value_source(id) == Some(ValueSource::CommandLine);
        let mut raw = given.try_get_raw(id).ok().flatten().into_iter().flatten();
        if is_typed && raw.any(|value| value.to_str().and_then(password_of).is_some()) {
            let variable = arg.get_env().unwrap_or_default().to_string_lossy();
            return Err(format!("a password on the command line is everybody's: set {variable}"));
        }
    }
    Ok(())
}

/// The variable that says the same.
fn variable_of(key: &str) -> String {
    let command = Cli::command();
    let mut of_serve = command.find_subcommand("serve").into_iter().flat_map(settings);
    let variable = of_serve.find(|arg| arg.get_long() == Some(key)).and_then(Arg::get_env);
    variable.unwrap_or_default().to_string_lossy().into_owned()
}

/// With another name for an argument, and without what help calls its value: `--pool <POOL>`.
fn renamed(text: &str, key: &str, name: &str) -> String {
    let flag = format!("--{key}");
    let mut parts = text.split(&*flag);
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |said, rest| {
        if rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '-') {
            return said + &flag + rest;
        }
        let value = rest.strip_prefix(" <").and_then(|rest| Some(rest.split_once('>')?.1));
        said + name + value.unwrap_or(rest)
    })
}

fn variables() -> Vec<String> {
    let command = Cli::command();
    let everywhere =
        command.get_subcommands().flat_map(Command::get_arguments).chain(command.get_arguments());
    let named = everywhere.filter_map(|arg| Some(arg.get_env()?.to_str()?.to_owned()));
    let others = SECRETS.into_iter().chain([CLIENTS_VARIABLE]).chain(TESTS_VARIABLES);
    named.chain(others.map(str::to_owned)).collect()
}

/// A value as the command line would have it.
fn plain(key: &str, value: &toml::Value) -> Result<String, String> {
    match value {
        toml::Value::String(text) => Ok(text.clone()),
        toml::Value::Integer(number) => Ok(number.to_string()),
        toml::Value::Boolean(flag) => Ok(flag.to_string()),
        _ => Err(format!("{key} is a text, a whole number, true or false")),
    }
}

fn nearest(wrong: &str, known: &[String]) -> String {
    let near = known.iter().map(|known| (strsim::damerau_levenshtein(wrong, known), known)).min();
    match near {
        Some((distance, known)) if distance <= wrong.len() / 2 => format!("; did you mean {known}?"),
        _ => "; see banyan serve --help".to_owned(),
    }
}

/// What these arguments or this variable name, before anything is parsed.
fn named(args: &[OsString], flag: &str, variable: &str) -> Option<OsString> {
    let mut words = args.iter();
    while let Some(word) = words.next() {
        if word == flag {
            return words.next().cloned();
        }
        if let Some(value) = word.to_str().and_then(|word| word.strip_prefix(flag)?.strip_prefix('=')) {
            return Some(value.into());
        }
    }
    std::env::var_os(variable)
}

fn named_folder(args: &[OsString]) -> PathBuf {
    named(args, "--data", "BANYAN_DATA").map_or_else(default_data_dir, PathBuf::from)
}

#[cfg(test)]
mod tests {
    use clap::ArgAction;

    use super::*;

    /// A flag is a setting like any other, and may stand in a file; so may a list, in one text.
    #[test]
    fn every_setting_has_a_variable_and_takes_a_default() {
        for key in keys() {
            let command = Cli::command();
            let serve = command.find_subcommand("serve").expect("serve");
            let arg = serve.get_arguments().find(|arg| arg.get_long() == Some(&key)).expect("an argument");
            let is_list =
                matches!(arg.get_action(), ArgAction::Append) && arg.get_value_delimiter() == Some(',');
            assert!(is_list || matches!(arg.get_action(), ArgAction::Set | ArgAction::SetTrue), "{key}");
            assert_eq!(arg.get_id().as_str(), key.replace('-', "_"), "{key}");
        }
    }
}
