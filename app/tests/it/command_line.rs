//! Bad input on the command line: an exit code and one line on stderr that says what to do.

use std::process::Output;

use crate::shop::{banyan, shop};

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
