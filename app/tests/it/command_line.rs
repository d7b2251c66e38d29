//! Bad input on the command line: an exit code and one line on stderr that says what to do.

use std::process::Output;

use serde_json::json;

use crate::shop::{ALICE, Call, banyan, shop};

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
        (&["dlq", "list", "no.group"], 1, "/admin/groups"),
        (&["break", "gateway", "--timeout", "50%", "--for", "30s"], 1, "--allow-faults"),
        (&["break", "gateway", "--for", "30s"], 2, "--timeout"),
        (&["break", "gateway", "--timeout", "150%", "--for", "30s"], 2, "0% to 100%"),
        (&["serve", "--listen", "here"], 2, "--listen"),
        (&["serve", "--sandbox-faults", "everyday"], 1, "--allow-faults"),
        (&["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"], 1, "in use"),
        (&["serve", "--admin-listen", "0.0.0.0:0"], 1, "loopback"),
        (&["reset", "--yes"], 1, "in use"),
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

/// The command line before the environment, before the file, before the default; a secret is never shown.
#[test]
fn what_is_in_force_says_where_it_comes_from() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("banyan.toml");
    let run = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = std::process::Command::new(crate::shop::BANYAN);
        command.args(arguments).arg("--data").arg(folder.path()).envs(variables.iter().copied());
        command.output().expect("the binary runs")
    };
    let is = |output: &Output, key: &str, value: &str, origin: &str| {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let all: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        assert_eq!(all[key]["value"], value, "{key}: {all}");
        assert!(all[key]["origin"].as_str().expect("an origin").contains(origin), "{key}: {all}");
    };
    let config = ["config", "--json"];
    is(&run(&config, &[]), "pool", "8", "default");
    std::fs::write(
        &file,
        "pool = 3\nallow-faults = true\nsmtp-url = 'smtp://127.0.0.1'\nmail-from = 'a <a@b.example>'\n",
    )
    .expect("a file");
    let with_file = run(&config, &[("BANYAN_POOL", "5"), ("DATABASE_URL", "postgres://u:secret@h/d")]);
    is(&with_file, "pool", "5", "environment, BANYAN_POOL");
    is(&with_file, "allow-faults", "true", "banyan.toml");
    is(&with_file, "smtp-url", "(secret)", "banyan.toml");
    is(&with_file, "database-url", "(secret)", "environment");
    assert!(!String::from_utf8_lossy(&with_file.stdout).contains("secret@"), "a secret is never shown");
    is(&run(&config, &[]), "pool", "3", "banyan.toml");
    let collector = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
    let traced = run(&config, &[collector, ("OTEL_EXPORTER_OTLP_HEADERS", "key=secret")]);
    is(&traced, collector.0, collector.1, "environment");
    is(&traced, "OTEL_EXPORTER_OTLP_HEADERS", "(secret)", "environment");
    is(&traced, "OTEL_TRACES_SAMPLER", "parentbased_always_on", "default");
    for arguments in [&config[..], &["serve"]] {
        let wrong = run(arguments, &[collector, ("OTEL_TRACES_SAMPLER", "sometimes")]);
        check(&wrong, 2, "OTEL_TRACES_SAMPLER is sometimes; it can be always_on");
    }
    for (text, words) in [
        ("poool = 3", "there is no setting poool; did you mean pool?"),
        ("pool = [3]", "pool is a text, a whole number, true or false"),
        ("pool = ", "banyan.toml"),
        ("pool = 1", "2..=100"),
        ("listen = 'here'", "--listen"),
    ] {
        std::fs::write(&file, text).expect("a file");
        for arguments in [&config[..], &["serve"]] {
            let output = run(arguments, &[]);
            let code = output.status.code().expect("a code");
            assert!(code == 2 || code == 1, "{text}: {code}");
            check(&output, code, words);
        }
    }
    std::fs::remove_file(&file).expect("the file goes");
    check(
        &run(&config, &[("BANYAN_POL", "3")]),
        2,
        "there is no variable BANYAN_POL; did you mean BANYAN_POOL?",
    );
    check(&run(&["config", "--config", "/no/such.toml"], &[]), 2, "/no/such.toml");
}

#[tokio::test]
async fn a_read_model_is_rebuilt_while_it_is_read() {
    let shop = shop().await;
    let text = |output: &std::process::Output| String::from_utf8_lossy(&output.stdout).into_owned();
    let names = text(&shop.banyan(&["rebuild"]));
    assert_eq!(names.lines().collect::<Vec<_>>(), ["orders.list", "orders.sales"]);
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
