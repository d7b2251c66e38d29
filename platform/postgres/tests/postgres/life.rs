//! A cluster's life: made, started, adopted, killed, restarted, stopped.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use banyan_postgres::{Cluster, Error, StopMode, backup, begun, find, is_running, restore};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sha2::{Digest, Sha256};

use crate::scratch::{
    Scratch, argument, ask, config, is_alive, is_root, run_again, server_of, tell, wait_for,
};

const SETTINGS: &str = "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN \
    ('fsync', 'synchronous_commit', 'wal_level', 'max_connections', 'data_checksums', 'listen_addresses', \
     'server_encoding', 'lc_collate', 'TimeZone')";

#[tokio::test]
async fn a_new_cluster_is_durable_and_listens_on_its_socket_alone() {
    let scratch = Scratch::new();
    let cluster = scratch.start().await.unwrap();
    assert!(!cluster.adopted());
    let settings = ask(&cluster, SETTINGS).await.to_lowercase();
    for expected in
        ["fsync=on", "synchronous_commit=on", "wal_level=logical", "data_checksums=on", "timezone=utc"]
    {
        assert!(settings.contains(expected), "{expected} not in {settings}");
    }
    assert!(settings.contains("listen_addresses= "), "{settings}");
    let socket_dir = fs::metadata(cluster.socket_dir()).unwrap();
    assert_eq!(socket_dir.mode() & 0o777, 0o700);
    assert_ne!(socket_dir.uid(), 0, "root runs no server");
    assert!(cluster.size_bytes() > 10 << 20);
    cluster.stop(StopMode::Fast).await.unwrap();
    assert_eq!(cluster.pid(), None);
}

#[tokio::test]
async fn a_database_is_created_once() {
    let scratch = Scratch::new();
    let cluster = scratch.start().await.unwrap();
    let (one, other) =
        tokio::join!(cluster.create_database("a \"shop\""), cluster.create_database("a \"shop\""));
    one.and(other).unwrap();
    cluster.create_database("a \"shop\"").await.unwrap();
    assert_eq!(ask(&cluster, "SELECT count(*)::text FROM pg_database WHERE datname LIKE 'a %'").await, "1");
}

/// When the backups of a test are begun.
const AT_MS: u64 = 1_700_000_000_123;
const BEGUN: &[u8] = b", begun ";
const SEAL_BYTES: usize = 512;

/// The same backup under the seal that it had when that told no time.
fn sealed_before(whole: &[u8], path: &Path) -> PathBuf {
    let mut bytes = whole[..whole.len() - SEAL_BYTES].to_vec();
    let (hash, length) = (hex::encode(Sha256::digest(&bytes)), bytes.len());
    let mut seal = format!("banyan-backup-1 sha256 {hash} of {length} bytes\n").into_bytes();
    seal.resize(SEAL_BYTES, 0);
    bytes.extend(seal);
    fs::write(path, bytes).unwrap();
    path.to_owned()
}

#[tokio::test]
async fn a_copy_taken_while_it_works_is_a_cluster_again() {
    let scratch = Scratch::new();
    let cluster = scratch.start().await.unwrap();
    tell(&cluster, "CREATE TABLE t AS SELECT 7 AS n").await;
    let (data_dir, file) = (cluster.data_dir().to_owned(), cluster.data_dir().with_extension("backup"));
    // A backup was killed, another is under way, and somebody has a file of that kind.
    let beside = |name: &str| data_dir.with_file_name(name);
    let (killed, under_way, theirs) =
        (beside(".data.backup.banyan-backup"), beside(".b.banyan-backup"), beside(".c.partial"));
    for path in [&killed, &under_way, &theirs] {
        fs::write(path, "half").unwrap();
    }
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(AT_MS);
    let held = fs::File::open(&under_way).unwrap();
    held.lock().unwrap();
    assert!(backup(&data_dir, &file, now).await.unwrap() > 10 << 20);
    assert_eq!(begun(&file).unwrap(), Some(now), "it says when it was begun");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let kept = [&killed, &under_way, &theirs].map(|path| path.exists());
    assert_eq!(kept, [false, true, true], "what a killed one left is gone, and nothing else");
    assert!(backup(&data_dir, &file, now).await.is_err(), "a backup is never written over");
    tell(&cluster, "UPDATE t SET n = 8").await;
    assert!(restore(&file, &data_dir).await.is_err(), "nor is a data directory");
    cluster.stop(StopMode::Fast).await.unwrap();
    assert!(!is_running(&data_dir));
    let other = data_dir.with_extension("other");
    assert!(matches!(backup(&data_dir, &other, now).await, Err(Error::NotRunning { .. })));
    fs::remove_dir_all(&data_dir).unwrap();
    fs::write(&other, "no archive").unwrap();
    assert!(matches!(restore(&other, &data_dir).await, Err(Error::NotABackup { .. })));
    let whole = fs::read(&file).unwrap();
    fs::write(&other, &whole[..whole.len() / 2]).unwrap();
    assert!(matches!(restore(&other, &data_dir).await, Err(Error::NotABackup { .. })));
    let said = whole.windows(BEGUN.len()).rposition(|bytes| bytes == BEGUN).unwrap();
    // A hundred bytes of a table, or of the log: an archive all the same, and another database. And another time.
    for (at, bytes) in [(whole.len() / 3, 100), (whole.len() / 2, 100), (said + BEGUN.len(), 1)] {
        let mut changed = whole.clone();
        changed[at..at + bytes].fill(b'9');
        fs::write(&other, &changed).unwrap();
        match restore(&other, &data_dir).await {
            Err(Error::NotABackup { message, .. }) => assert!(message.contains("checksum"), "{message}"),
            done => panic!("{done:?}"),
        }
    }
    assert!(!data_dir.exists(), "whole, or not at all");
    assert!(restore(&sealed_before(&whole, &other), &data_dir.with_extension("old")).await.is_ok());
    assert_eq!(begun(&other).unwrap(), None, "one of before says no time");
    restore(&file, &data_dir).await.unwrap();
    let again = scratch.start().await.unwrap();
    assert_eq!(ask(&again, "SELECT n::text FROM t").await, "7");
    again.stop(StopMode::Fast).await.unwrap();
}

#[tokio::test]
async fn a_running_server_is_adopted_and_a_stopped_one_started() {
    let scratch = Scratch::new();
    let first = scratch.start().await.unwrap();
    tell(&first, "CREATE TABLE t AS SELECT 7 AS n").await;
    let second = scratch.start().await.unwrap();
    assert!(second.adopted());
    assert_eq!(first.pid(), second.pid());
    second.stop(StopMode::Fast).await.unwrap();
    let began = Instant::now();
    let third = scratch.start().await.unwrap();
    println!("warm start: {} ms", began.elapsed().as_millis());
    assert!(!third.adopted());
    assert_eq!(ask(&third, "SELECT n::text FROM t").await, "7");
}

#[tokio::test]
async fn own_settings_win_over_ours() {
    let scratch = Scratch::new();
    let mut config = config(&scratch.data_dir());
    config.settings = vec![("max_connections".into(), "33".into()), ("cluster_name".into(), "it's".into())];
    let cluster = Cluster::start(config).await.unwrap();
    assert_eq!(ask(&cluster, "SHOW max_connections").await, "33");
    assert_eq!(ask(&cluster, "SHOW cluster_name").await, "it's");
}

#[tokio::test]
async fn two_starts_at_once_share_one_server() {
    let scratch = Scratch::new();
    let (one, other) = tokio::join!(scratch.start(), scratch.start());
    assert_eq!(one.unwrap().pid().unwrap(), other.unwrap().pid().unwrap());
}

#[tokio::test]
async fn two_processes_at_once_share_one_server() {
    let scratch = Scratch::new();
    let mut others = [(); 3].map(|()| run_again("life::starts_and_waits", &scratch.data_dir()));
    let cluster = scratch.start().await.unwrap();
    let pid = cluster.pid();
    let ready = |id| scratch.path().join(format!("ready-{id}")).exists();
    wait_for("the others", || others.iter().all(|other| ready(other.id())));
    others.iter_mut().for_each(|other| other.kill().and_then(|()| other.wait().map(drop)).unwrap());
    assert_eq!(cluster.pid(), pid);
    let drafts = fs::read_dir(scratch.path()).unwrap().flatten();
    assert_eq!(drafts.filter(|entry| entry.file_name().to_string_lossy().contains("initdb")).count(), 0);
}

#[tokio::test]
async fn a_long_path_gets_a_short_socket() {
    let scratch = Scratch::new();
    let deep = scratch.path().join("x".repeat(100));
    let cluster = Cluster::start(config(&deep)).await.unwrap();
    assert_ne!(cluster.socket_dir(), deep);
    assert_eq!(fs::metadata(cluster.socket_dir()).unwrap().mode() & 0o777, 0o700);
    assert!(Cluster::start(config(&deep)).await.unwrap().adopted());
    cluster.stop(StopMode::Fast).await.unwrap();
    fs::remove_dir_all(cluster.socket_dir()).unwrap();
}

#[tokio::test]
async fn a_path_with_spaces_and_quotes_works() {
    let scratch = Scratch::new();
    let cluster = Cluster::start(config(&scratch.path().join("a shop's, data"))).await.unwrap();
    assert_eq!(ask(&cluster, "SELECT 'yes'").await, "yes");
    cluster.stop(StopMode::Fast).await.unwrap();
    fs::remove_dir_all(cluster.socket_dir()).unwrap();
}

#[tokio::test]
async fn a_killed_server_is_started_again_and_a_stopped_one_is_not() {
    let scratch = Scratch::new();
    let cluster = scratch.start().await.unwrap();
    let supervisor = tokio::spawn(cluster.supervise());
    tell(&cluster, "CREATE TABLE t AS SELECT 7 AS n").await;
    for _ in 0..3 {
        let before = cluster.pid().unwrap();
        kill(Pid::from_raw(before), Signal::SIGKILL).unwrap();
        let waited = cluster.clone();
        let back = move || wait_for("another server", || waited.pid().is_some_and(|pid| pid != before));
        tokio::task::spawn_blocking(back).await.unwrap();
    }
    // The server may still be recovering: a start waits for it.
    assert_eq!(ask(&scratch.start().await.unwrap(), "SELECT n::text FROM t").await, "7");
    cluster.stop(StopMode::Fast).await.unwrap();
    supervisor.await.unwrap();
    assert_eq!(cluster.pid(), None);
}

#[tokio::test]
async fn a_stop_during_a_restart_is_final() {
    let scratch = Scratch::new();
    let cluster = scratch.start().await.unwrap();
    let supervisor = tokio::spawn(cluster.supervise());
    let before = cluster.pid();
    kill(Pid::from_raw(before.unwrap()), Signal::SIGKILL).unwrap();
    let waited = cluster.clone();
    let died = move || wait_for("the server's end", || waited.pid() != before);
    tokio::task::spawn_blocking(died).await.unwrap();
    cluster.stop(StopMode::Fast).await.unwrap();
    supervisor.await.unwrap();
    assert_eq!(cluster.pid(), None);
}

/// The postmaster alone, which then lets nobody go, and all of it, as a machine stands still.
#[tokio::test]
async fn a_frozen_server_is_stopped_in_time_and_loses_nothing() {
    const WITHIN: Duration = Duration::from_secs(2);
    /// Of a busy machine; `pg_ctl` waits for two minutes.
    const TAKES_MAX: Duration = Duration::from_secs(15);
    let scratch = Scratch::new();
    for (creates, with_children) in
        [("CREATE TABLE t1 AS SELECT 7 AS n", false), ("CREATE TABLE t2 AS SELECT 7 AS n", true)]
    {
        let cluster = scratch.start().await.unwrap();
        assert!(!cluster.adopted());
        tell(&cluster, creates).await;
        let server = Pid::from_raw(cluster.pid().unwrap());
        // First: it starts no more of them.
        kill(server, Signal::SIGSTOP).unwrap();
        let children = children_of(server);
        assert!(children.len() > 2, "{children:?}");
        for child in children.iter().filter(|_| with_children) {
            // Who served the statement above may be going.
            let _ = kill(*child, Signal::SIGSTOP);
        }
        let begun = Instant::now();
        assert!(!cluster.stop_within(StopMode::Fast, WITHIN).await.unwrap(), "not as it was asked");
        println!("stopped after {:?} of {WITHIN:?}", begun.elapsed());
        assert!(begun.elapsed() < TAKES_MAX, "{:?}", begun.elapsed());
        assert_eq!(cluster.pid(), None);
    }
    let again = scratch.start().await.unwrap();
    assert_eq!(ask(&again, "SELECT (t1.n + t2.n)::text FROM t1, t2").await, "14");
    let in_time = again.stop_within(StopMode::Fast, WITHIN * 30).await.unwrap();
    assert!(in_time, "one that hears ends as it is asked");
}

fn children_of(server: Pid) -> Vec<Pid> {
    let listed = Command::new("ps").args(["-o", "pid=", "--ppid", &server.to_string()]).output().unwrap();
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    listed.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap())).collect()
}

#[tokio::test]
async fn a_server_outlives_the_killed_process_that_started_it() {
    let scratch = Scratch::new();
    let mut shop = run_again("life::starts_and_waits", &scratch.data_dir());
    wait_for("the shop's start", || scratch.path().join(format!("ready-{}", shop.id())).exists());
    let server = server_of(&scratch.data_dir()).unwrap();
    let session = Command::new("ps").args(["-o", "sid=", "-p", &server.to_string()]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&session.stdout).trim(), server.to_string());
    shop.kill().unwrap();
    shop.wait().unwrap();
    assert!(is_alive(server));
    let next = scratch.start().await.unwrap();
    assert!(next.adopted());
    assert_eq!(next.pid(), Some(server.as_raw()));
}

#[tokio::test]
async fn a_kill_during_initdb_leaves_no_half_directory() {
    let scratch = Scratch::new();
    for step in ["PG_VERSION", "global/pg_control", "base/1/pg_filenode.map"] {
        let mut shop = run_again("life::starts_and_waits", &scratch.data_dir());
        let draft = scratch.path().join(format!(".data.initdb-{}", shop.id()));
        wait_for(step, || draft.join(step).exists());
        shop.kill().unwrap();
        shop.wait().unwrap();
        assert!(!scratch.data_dir().exists());
    }
    scratch.start().await.unwrap();
}

#[test]
#[ignore = "run by the tests above, as a process of its own"]
fn starts_and_waits() {
    let data_dir = argument();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let cluster = runtime.block_on(Cluster::start(config(&data_dir))).unwrap();
    let ready = data_dir.with_file_name(format!("ready-{}", std::process::id()));
    fs::write(ready, cluster.pid().unwrap().to_string()).unwrap();
    runtime.block_on(std::future::pending::<()>());
}

/// Where it matters who runs the server.
const FOR_AN_ORDINARY_USER: [&str; 7] = [
    "life::a_new_cluster",
    "life::a_running_server",
    "life::a_long_path",
    "life::a_killed_server",
    "bad::another_owner",
    "bad::a_folder",
    "leash::killed",
];

/// The same as an ordinary user, where this is root: this program again, from a place that everybody can read.
#[test]
fn it_works_for_an_ordinary_user() {
    if !is_root() {
        return println!("skipped: not root, so every test runs as an ordinary user already");
    }
    let scratch = Scratch::new();
    let program = scratch.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let home = scratch.path().join("home");
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o777)).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).arg(&program);
    command.args(["--test-threads=2"]).args(FOR_AN_ORDINARY_USER).current_dir(&home);
    command.env("HOME", &home).env("PATH", path_with(&find().unwrap().bin_dir)).stdin(Stdio::null());
    let output = command.output().unwrap();
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(!printed.contains("running 0 tests"), "{printed}");
}

fn path_with(bin_dir: &std::path::Path) -> String {
    format!("/usr/bin:/bin:{}", bin_dir.display())
}
