//! Bad input on the command line: an exit code and one line on stderr that says what to do.

use std::{io::Read, path::Path, process::Output};

use serde_json::json;

use crate::shop::{ALICE, Call, banyan, shop, until};

fn check(output: &Output, code: i32, words: &str) {
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert_eq!(stderr.trim_end().lines().count(), 1, "one line: {stderr:?}");
    assert!(stderr.starts_with("banyan: ") && stderr.contains(words), "{stderr:?} does not say {words:?}");
    assert!(stdout.is_empty(), "{stdout}");
}

#[tokio::test]
async fn each_wrong_argument_is_one_line() {
    let shop = shop().await;
    let unknown = "00000000-0000-0000-0000-000000000007";
    let cases: &[(&[&str], i32, &str)] = &[
        (&["replay", "no-such-file.jsonl"], 2, "no-such-file.jsonl"),
        (&["replay", "/dev/null"], 2, "/dev/null"),
        (&["replay"], 2, "<FILE>"),
        (&["replay", "/dev/null", "--in-flight", "many"], 2, "--in-flight"),
        (&["audit", "--nope"], 2, "--nope"),
        (&["no-such-command"], 2, "no-such-command"),
        (&["order", "show", unknown], 1, "no such order"),
        (&["order", "why", unknown], 1, "no such order"),
        (&["rebuild", "orders.lust"], 1, "no such read model"),
        (&["order", "resolve", unknown, "--retry", "--reason", "try"], 1, "no such order"),
        (&["order", "resolve", unknown, "--reason", "neither"], 2, "--retry"),
        (&["order", "resolve", unknown, "--retry", "--cancel", "--reason", "both"], 2, "--cancel"),
        (&["order", "show", "x"], 2, "'x'"),
        (&["dlq", "list", "no.group"], 1, "there is no group no.group"),
        (&["break", "gateway", "--timeout", "50%", "--for", "30s"], 1, "--allow-faults"),
        (&["break", "gateway", "--for", "30s"], 2, "--timeout"),
        (&["break", "gateway", "--timeout", "150%", "--for", "30s"], 2, "0% to 100%"),
        (&["serve", "--listen", "here"], 2, "--listen"),
        (&["serve", "--sandbox-faults", "everyday"], 1, "--allow-faults"),
        (&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"], 1, "in use"),
        (&["serve", "--admin-listen", "0.0.0.0:0"], 1, "loopback"),
        (&["reset", "--yes"], 1, "in use"),
        (&["audit", "--log", "inof"], 2, "for '--log <FILTER>': inof is no level"),
    ];
    for (arguments, code, words) in cases {
        check(&shop.banyan(arguments), *code, words);
    }
}

#[tokio::test]
async fn without_a_shop_the_folder_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let name = folder.path().display().to_string();
    for arguments in [&["audit"][..], &["order", "stuck"], &["token", "--role", "staff"], &["reset", "--yes"]]
    {
        check(&banyan(folder.path(), arguments), 1, &name);
    }
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0, "and nothing is made in it");
}

#[test]
fn a_shop_that_has_stopped_is_named_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let api = format!("http://{}", listener.local_addr().expect("an address"));
    drop(listener);
    let running = serde_json::json!({"pid": 1, "api": api, "admin": api}).to_string();
    std::fs::write(folder.path().join("running.json"), running).expect("a file");
    for arguments in [&["audit"][..], &["order", "stuck"], &["replay", "sample/sample.jsonl"]] {
        let output = std::process::Command::new(crate::shop::BANYAN)
            .args(arguments)
            .env("BANYAN_DATA", folder.path())
            .env("BANYAN_TOKEN", "any")
            .output()
            .expect("an end");
        check(&output, 1, "is it running?");
    }
}

#[test]
fn help_and_version_are_no_errors() {
    for arguments in [&["--help"][..], &["--version"], &["replay", "--help"]] {
        let output = banyan(std::path::Path::new("."), arguments);
        assert!(output.status.success() && output.stderr.is_empty(), "{arguments:?}");
    }
}

#[tokio::test]
async fn what_cannot_be_printed_ends_a_command_without_a_panic() {
    let shop = shop().await;
    for arguments in [&["audit"][..], &["token", "--role", "staff"], &["order", "stuck"], &["config"]] {
        let run = |out: std::process::Stdio| {
            let mut command = std::process::Command::new(crate::shop::BANYAN);
            command
                .args(arguments)
                .arg("--data")
                .arg(&shop.data)
                .stdout(out)
                .output()
                .expect("the binary runs")
        };
        let full = std::fs::File::create("/dev/full").expect("a device that is always full");
        check(&run(full.into()), 1, "No space left on device");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let unread = run(writer.into());
        assert_eq!((unread.status.code(), &unread.stderr[..]), (Some(141), &b""[..]), "{arguments:?}");
    }
}

const CONFIG: [&str; 2] = ["config", "--json"];

/// Runs the command line on a folder, in this environment.
fn run_in(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = std::process::Command::new(crate::shop::BANYAN);
    command.args(arguments).arg("--data").arg(folder).envs(variables.iter().copied());
    command.output().expect("the binary runs")
}

/// What `banyan config --json` printed says so.
fn is(output: &Output, key: &str, value: &str, origin: &str) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let all: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(all[key]["value"], value, "{key}: {all}");
    assert!(all[key]["origin"].as_str().expect("an origin").contains(origin), "{key}: {all}");
}

/// The command line before the environment, before the file, before the default; a secret is never shown.
#[test]
fn what_is_in_force_says_where_it_comes_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("banyan.toml");
    let run = |arguments: &[&str], variables: &[(&str, &str)]| run_in(folder.path(), arguments, variables);
    is(&run(&CONFIG, &[]), "pool", "8", "default");
    std::fs::write(
        &file,
        "pool = 3\nallow-faults = true\nsmtp-url = 'smtp://127.0.0.1'\nmail-from = 'a <a@b.example>'\n",
    )
    .expect("a file");
    let with_file = run(&CONFIG, &[("BANYAN_POOL", "5"), ("DATABASE_URL", "postgres://u:secret@h/d")]);
    is(&with_file, "pool", "5", "environment, BANYAN_POOL");
    is(&with_file, "allow-faults", "true", "banyan.toml");
    is(&with_file, "smtp-url", "(secret)", "banyan.toml");
    is(&with_file, "database-url", "(secret)", "environment");
    assert!(!String::from_utf8_lossy(&with_file.stdout).contains("secret@"), "a secret is never shown");
    is(&run(&CONFIG, &[]), "pool", "3", "banyan.toml");
    let collector = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
    let traced = run(&CONFIG, &[collector, ("OTEL_EXPORTER_OTLP_HEADERS", "key=secret")]);
    is(&traced, collector.0, collector.1, "environment");
    is(&traced, "OTEL_EXPORTER_OTLP_HEADERS", "(secret)", "environment");
    is(&traced, "OTEL_TRACES_SAMPLER", "parentbased_always_on", "default");
    for arguments in [&CONFIG[..], &["serve"]] {
        let wrong = run(arguments, &[collector, ("OTEL_TRACES_SAMPLER", "sometimes")]);
        check(&wrong, 2, "OTEL_TRACES_SAMPLER is sometimes; it can be always_on");
    }
    for (text, words) in [
        ("poool = 3", "there is no setting poool; did you mean pool?"),
        ("pool = [3]", "pool is a text, a whole number, true or false"),
        ("pool = ", "banyan.toml"),
        ("pool = 1", "2..=100"),
        ("listen = 'here'", "for 'listen in "),
    ] {
        std::fs::write(&file, text).expect("a file");
        for arguments in [&CONFIG[..], &["serve"]] {
            let output = run(arguments, &[]);
            let code = output.status.code().expect("a code");
            assert!(code == 2 || code == 1, "{text}: {code}");
            check(&output, code, words);
        }
    }
    std::fs::remove_file(&file).expect("the file goes");
    check(
        &run(&CONFIG, &[("BANYAN_POL", "3")]),
        2,
        "there is no variable BANYAN_POL; did you mean BANYAN_POOL?",
    );
    check(&run(&["config", "--config", "/no/such.toml"], &[]), 2, "/no/such.toml");
}

/// Nothing is started by it, and nothing is left for the night.
#[test]
fn what_serve_could_not_use_is_refused_by_config_as_well() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str], variables: &[(&str, &str)]| run_in(folder.path(), arguments, variables);
    for (variables, code, words) in [
        (&[("DATABASE_URL", "here")][..], 1, "DATABASE_URL"),
        (&[("DATABASE_URL", "http://u:secret@h/d")], 1, "postgres://"),
        (
            &[("BANYAN_GATEWAY_URL", "gateway:80"), ("BANYAN_GATEWAY_SECRET", "s")],
            1,
            "BANYAN_GATEWAY_URL is no address",
        ),
        (
            &[
                ("BANYAN_GATEWAY_URL", "http://g"),
                ("BANYAN_CARRIER_URL", "no"),
                ("BANYAN_GATEWAY_SECRET", "s"),
                ("BANYAN_CARRIER_SECRET", "s"),
            ],
            1,
            "BANYAN_CARRIER_URL is no address",
        ),
        (&[("BANYAN_GATEWAY_URL", "http://g")], 1, "BANYAN_GATEWAY_SECRET"),
        (
            &[("BANYAN_OIDC_ISSUER", "me"), ("BANYAN_OIDC_AUDIENCE", "a"), ("BANYAN_OIDC_JWKS", "https://k")],
            1,
            "BANYAN_OIDC_ISSUER is no address",
        ),
        (
            &[
                ("BANYAN_OIDC_ISSUER", "https://i"),
                ("BANYAN_OIDC_AUDIENCE", "a"),
                ("BANYAN_OIDC_JWKS", "http://k"),
            ],
            1,
            "BANYAN_OIDC_JWKS is https",
        ),
        (
            &[("BANYAN_SMTP_URL", "smtp://mail.example"), ("BANYAN_MAIL_FROM", "a <a@b.example>")],
            1,
            "BANYAN_SMTP_URL: ",
        ),
        (&[("BANYAN_SMTP_URL", "smtps://mail.example"), ("BANYAN_MAIL_FROM", "me")], 1, "BANYAN_MAIL_FROM: "),
        (&[("BANYAN_MAIL_FROM", "nonsense")], 1, "BANYAN_MAIL_FROM: "),
        (&[("BANYAN_WEBHOOK_SECRETS", ",")], 1, "BANYAN_WEBHOOK_SECRETS"),
        (&[("BANYAN_WEBHOOK_SECRETS", "whsec_a,,whsec_b")], 1, "BANYAN_WEBHOOK_SECRETS"),
        (&[("BANYAN_WEBHOOK_SECRET", "whsec_a")], 2, "did you mean BANYAN_WEBHOOK_SECRETS?"),
        (&[("BANYAN_CARRIER_SECRET", "s")], 1, "BANYAN_CARRIER_URL"),
        (&[("BANYAN_POOL", "many")], 2, "for 'BANYAN_POOL'"),
        (&[("BANYAN_BINS", "x")], 2, "there is no variable BANYAN_BINS"),
        // With the feature or without it, it is named.
        (&[("BANYAN_KAFKA", "broker")], 1, if cfg!(feature = "kafka") { "BANYAN_KAFKA: " } else { "Kafka" }),
        (&[("BANYAN_KAFKA_PREFIX", "a/b")], 2, "BANYAN_KAFKA_PREFIX"),
        (
            &[("BANYAN_SANDBOX_FAULTS", "sometimes"), ("BANYAN_ALLOW_FAULTS", "true")],
            2,
            "BANYAN_SANDBOX_FAULTS",
        ),
        (&[("BANYAN_ADMIN_LISTEN", "0.0.0.0:1")], 1, "loopback"),
        (&[("BANYAN_LOG", "loud")], 2, "for 'BANYAN_LOG': loud is no level"),
        (&[("BANYAN_LOG_JSON", "perhaps")], 2, "for 'BANYAN_LOG_JSON'"),
    ] {
        // An address that nobody has: what is not refused ends there, in other words.
        check(&run(&["serve", "--listen", "192.0.2.1:1"], variables), code, words);
        let output = run(&CONFIG, variables);
        check(&output, output.status.code().filter(|code| *code != 0).expect("it is refused"), words);
    }
    // A command that asks a shop reads them as well; what was typed is named as it was typed.
    let loud: &[(&str, &str)] = &[("BANYAN_LOG", "loud")];
    check(&run(&["audit"], loud), 2, "for 'BANYAN_LOG': loud is no level");
    check(&run(&["audit", "--log", "inof"], loud), 2, "for '--log <FILTER>': inof is no level");
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 0, "nothing was started");
}

/// Who wrote it in the file is told of the file, and a secret that stands there is refused.
#[test]
fn a_wrong_value_is_named_where_it_was_said_and_a_secret_in_the_file_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("banyan.toml");
    let run = |text: &str, arguments: &[&str]| {
        std::fs::write(&file, text).expect("a file");
        run_in(folder.path(), arguments, &[])
    };
    let serve = ["serve", "--listen", "192.0.2.1:1"];
    for arguments in [&serve[..], &CONFIG] {
        for (text, code, words) in [
            ("pool = 1_000", None, "for 'pool in "),
            ("gateway-url = 'gateway:80'", None, "gateway-url in "),
            ("database-url = 'postgres://u:secret@h/d'", Some(2), "set DATABASE_URL"),
            ("database-url = 'postgres://h/d?user=u&password=secret'", Some(2), "set DATABASE_URL"),
            ("smtp-url = 'smtps://u:secret@h'\nmail-from = 'a@b.example'", Some(2), "set BANYAN_SMTP_URL"),
        ] {
            let output = run(text, arguments);
            let failed = output.status.code().filter(|failed| *failed != 0).expect("it is refused");
            check(&output, code.unwrap_or(failed), words);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!said.contains("secret@") && !said.contains("=secret"), "{said}");
        }
    }
    let on_the_command_line = run("", &["serve", "--pool", "many"]);
    check(&on_the_command_line, 2, "--pool");
    for (argument, address) in [
        ("--database-url", "postgres://u:secret@h/d"),
        ("--database-url", "postgres://h/d?user=u&password=secret"),
        ("--database-url", "postgres://h/d?user=u&%70assword=secret"),
        ("--smtp-url", "smtps://u:secret@h"),
        ("--smtp-url", "smtp://127.0.0.1:1?password=secret"),
        ("--gateway-url", "http://u:secret@h"),
        ("--unleash-url", "http://u:secret@h/api"),
    ] {
        let refused = run("", &["serve", "--mail-from", "a@b.example", argument, address]);
        check(&refused, 2, "a password on the command line is everybody's");
        assert!(!String::from_utf8_lossy(&refused.stderr).contains("secret"), "{refused:?}");
    }
    let unknown = run_in(folder.path(), &CONFIG, &[("BANYAN_BINS", "x")]);
    assert!(!String::from_utf8_lossy(&unknown.stderr).contains("BANYAN_BIN?"), "{unknown:?}");
}

#[test]
fn run_has_defaults_of_its_own_and_both_are_shown() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = |arguments: &[&str]| run_in(folder.path(), arguments, &[("BANYAN_POOL", "5")]);
    let of_run = run(&["config", "--json", "--for", "run"]);
    is(&of_run, "hold-s", "8", "default");
    is(&of_run, "sandbox-faults", "everyday", "default");
    is(&of_run, "allow-faults", "true", "of run");
    is(&of_run, "pool", "5", "environment");
    is(&run(&CONFIG), "hold-s", "900", "default");
    let text = String::from_utf8_lossy(&run(&["config"]).stdout).into_owned();
    let last = text.lines().last().expect("lines");
    let differs =
        "allow-faults true, sandbox-faults everyday, hold-s 8, sandbox-deliver-after-s 60: --for run";
    assert_eq!(last, format!("banyan run has {differs}"));
    let rows: Vec<&str> = text.lines().take_while(|line| *line != last).collect();
    let column = rows[0].find("where it comes from").expect("a heading");
    let aligned = |row: &&str| {
        row.is_char_boundary(column) && row[..column].ends_with("  ") && !row[column..].starts_with(' ')
    };
    assert!(rows.len() > 20 && rows.iter().all(aligned), "{text}");
    check(&run(&["config", "--for", "audit"]), 2, "serve, run");
}

#[test]
fn secrets_are_named_and_masked_and_the_folder_and_the_log_are_settings_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let secrets = [
        ("BANYAN_GATEWAY_URL", "http://us:hidden@g"),
        ("BANYAN_GATEWAY_SECRET", "hidden"),
        ("BANYAN_WEBHOOK_SECRETS", "hidden"),
    ];
    let masked = run_in(folder.path(), &[&CONFIG[..], &["--log", "info"]].concat(), &secrets);
    is(&masked, "data", folder.path().to_str().expect("a path"), "command line");
    is(&masked, "log", "info", "command line");
    is(&masked, "log-json", "false", "default");
    is(&masked, "gateway-url", "(secret)", "environment, BANYAN_GATEWAY_URL");
    is(&masked, "BANYAN_GATEWAY_SECRET", "(secret)", "environment");
    is(&masked, "BANYAN_WEBHOOK_SECRETS", "(secret)", "environment");
    is(&masked, "BANYAN_CONTROL_TOKEN", "", "not set");
    assert!(!String::from_utf8_lossy(&masked.stdout).contains("hidden"), "a secret is never shown");
}

#[tokio::test]
async fn a_read_model_is_rebuilt_while_it_is_read() {
    let shop = shop().await;
    let text = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let names = text(&shop.banyan(&["rebuild"]));
    assert_eq!(names.lines().collect::<Vec<_>>(), ["inventory.public", "orders.list", "orders.sales"]);
    for name in names.lines() {
        let rebuilt = shop.banyan(&["rebuild", name]);
        let said = text(&rebuilt);
        assert!(
            rebuilt.status.success() && said.contains("keys equal to an independent fold at position 1/"),
            "{rebuilt:?}"
        );
    }
    let unknown = shop.banyan(&["rebuild", "orders.lust"]);
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert_eq!(
        (unknown.status.code(), said.trim()),
        (Some(1), "banyan: there is no such read model; `banyan rebuild` names them")
    );
    let rebuild =
        Call::post("/admin/read-models/orders.list/rebuild").on_admin().json(&json!({"reason": ""}));
    rebuild.clone().customer(ALICE).check(403, "staff_only").await;
    rebuild.staff().check(422, "invalid_body").await;
}

/// A person is named on the command line as `banyan token` names them.
#[tokio::test]
async fn whom_a_token_was_made_for_by_name_is_forgotten_by_it() {
    let shop = shop().await;
    let token = shop.banyan(&["token", "--role", "customer", "--customer", "zoe"]);
    let bearer = format!("Bearer {}", String::from_utf8_lossy(&token.stdout).trim());
    let address = json!({"street": "Ring 1", "postcode": "1010", "city": "Wien", "country": "AT"});
    let contact = json!({"name": "Zoe", "email": "zoe@example.org", "address": address});
    let me = Call::new(reqwest::Method::PUT, "/v1/customers/me").authorization(&bearer).json(&contact);
    me.check(200, "").await;
    let forget = || {
        String::from_utf8_lossy(&shop.banyan(&["forget", "zoe", "--reason", "case 8"]).stdout).into_owned()
    };
    assert!(forget().starts_with("forgotten"));
    assert_eq!(forget().trim(), "nothing was known of zoe");
    Call::get("/v1/customers/me").authorization(&bearer).check(404, "unknown_customer").await;
}

/// What a terminal shows is coloured, but not for who says so (<https://no-color.org>).
#[tokio::test]
async fn an_undone_step_is_red_on_a_terminal_and_not_for_who_wants_no_colours() {
    let shop = shop().await;
    let declined =
        json!({"lines": [{"sku": "apple", "quantity": 1}], "payment_method": "pm_card_chargeDeclined"});
    let placed =
        Call::post("/v1/orders").customer(ALICE).key("red").json(&declined).check(201, "").await.json();
    let id = placed["id"].as_str().expect("an id").to_owned();
    let order = Call::get(&format!("/v1/orders/{id}")).customer(ALICE);
    until("the order to be undone", async || {
        (order.check(200, "").await.json()["state"] == "cancelled").then_some(())
    })
    .await;
    for (no_color, coloured) in [("", true), ("1", false)] {
        let shown =
            on_a_terminal(&["order", "show", &id, "--data", shop.data.to_str().expect("a path")], no_color);
        assert!(shown.contains("OrderCancelled"), "{shown}");
        assert_eq!(shown.contains("\u{1b}[31m"), coloured, "NO_COLOR={no_color:?}: {shown}");
    }
}

/// What it writes to a terminal.
fn on_a_terminal(arguments: &[&str], no_color: &str) -> String {
    let terminal = nix::pty::openpty(None, None).expect("a terminal");
    let mut command = std::process::Command::new(crate::shop::BANYAN);
    command.args(arguments).env("NO_COLOR", no_color).stdout(terminal.slave);
    let mut child = command.spawn().expect("the binary runs");
    // With it goes our own hold on the writing end: when the child is gone too, reading ends.
    drop(command);
    let mut shown = Vec::new();
    // A terminal that nobody holds any more is told as an error, after all that was written.
    let _ = std::fs::File::from(terminal.master).read_to_end(&mut shown);
    assert!(child.wait().expect("it ends").success());
    String::from_utf8_lossy(&shown).into_owned()
}

/// In a container others reach it by no loopback address; unless told, nobody but this machine does.
#[tokio::test]
async fn the_sandbox_listens_where_it_is_told_and_on_loopback_unless_told() {
    for (told, address) in [(&["--listen", "127.0.0.7"][..], "127.0.0.7:"), (&[], "127.0.0.1:")] {
        let book = tempfile::tempdir().expect("a folder");
        let mut command = tokio::process::Command::new(crate::shop::BANYAN);
        command.arg("sandbox").args(told).arg("--book").arg(book.path()).kill_on_drop(true);
        command.env("BANYAN_GATEWAY_SECRET", "gateway").env("BANYAN_CONTROL_TOKEN", "control");
        let mut sandbox = command.stdout(std::process::Stdio::piped()).spawn().expect("the binary runs");
        let said = tokio::io::BufReader::new(sandbox.stdout.take().expect("asked for as a pipe"));
        let line = tokio::io::AsyncBufReadExt::lines(said).next_line().await;
        let line = line.expect("a pipe").expect("a line");
        let at = line.strip_prefix("listening on ").expect("where it listens").to_owned();
        assert!(at.starts_with(address), "{told:?}: {line}");
        let client = banyan_net::client().build().expect("a client");
        let asked = client.get(format!("http://{at}/v1/payment_intents/pi_1")).send();
        let answer = asked.await.expect("an answer");
        assert_eq!(answer.status(), 401, "whoever reaches it needs its secret");
    }
}

#[test]
fn a_service_key_is_made_once_and_its_public_half_is_beside_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let [key, public] = ["orders.pem", "orders.pub.pem"].map(|name| folder.path().join(name));
    let made = || {
        let output = banyan(folder.path(), &["service-key", &key.display().to_string()]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim_end(), public.display().to_string());
        [&key, &public].map(|file| std::fs::read_to_string(file).expect("a key"))
    };
    let first = made();
    assert!(first[0].contains("BEGIN PRIVATE KEY") && first[1].contains("BEGIN PUBLIC KEY"), "{first:?}");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&key).expect("a key").permissions());
    assert_eq!(mode & 0o077, 0, "the private half is its owner's alone");
    assert_eq!(made(), first, "a key that is there stays");
}
