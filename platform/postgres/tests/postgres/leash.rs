//! Throw-away clusters end with the process that asked for them, however it ends.

use std::fs;
use std::path::{Path, PathBuf};

use banyan_postgres::testing::{database, durable_database};
use sqlx::{ConnectOptions, Connection};

use crate::scratch::{Scratch, argument, is_alive, run_again, server_of, wait_for};

#[tokio::test]
async fn each_call_gives_an_empty_database_of_its_own() {
    let (one, other) = tokio::join!(database(), database());
    assert_ne!(one.name, other.name);
    assert_eq!(one.cluster().pid(), other.cluster().pid());
    for test in [one, other] {
        let mut connection = test.superuser().connect().await.unwrap();
        sqlx::raw_sql("CREATE TABLE t (n int)").execute(&mut connection).await.unwrap();
        let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut connection).await.unwrap();
        assert_eq!(fsync, "off");
        connection.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_durable_database_waits_for_the_disk() {
    let test = durable_database().await;
    let mut connection = test.superuser().connect().await.unwrap();
    let fsync: String = sqlx::query_scalar("SHOW fsync").fetch_one(&mut connection).await.unwrap();
    assert_eq!(fsync, "on");
    connection.close().await.unwrap();
}

/// Runs a process that ends as `test` does (killed where `kill`) and sees its cluster vanish.
fn check(test: &str, kill: bool) {
    let scratch = Scratch::new();
    let note = scratch.path().join("note");
    let mut process = run_again(test, &note);
    wait_for("the process's cluster", || fs::read_to_string(&note).is_ok_and(|text| !text.is_empty()));
    let data_dir = PathBuf::from(fs::read_to_string(&note).unwrap());
    let folder = data_dir.parent().unwrap();
    let server = server_of(&data_dir);
    if kill {
        assert!(is_alive(server.unwrap()));
        process.kill().unwrap();
    }
    process.wait().unwrap();
    wait_for("the folder's end", || !folder.exists());
    wait_for("the server's end", || !server.is_some_and(is_alive));
}

#[test]
fn killed() {
    check("leash::waits_for_ever", true);
}

#[test]
fn panicked() {
    check("leash::panics", false);
}

#[test]
fn ended() {
    check("leash::ends", false);
}

#[test]
fn killed_during_initdb() {
    let scratch = Scratch::new();
    let mut process = run_again("leash::starts_in", scratch.path());
    wait_for("initdb", || draft(scratch.path()).is_some());
    process.kill().unwrap();
    process.wait().unwrap();
    wait_for("the folder's end", || fs::read_dir(scratch.path()).unwrap().count() == 0);
}

fn draft(above: &Path) -> Option<PathBuf> {
    let folder = fs::read_dir(above).ok()?.flatten().next()?.path();
    fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).find(|draft| draft.join("base").exists())
}

fn note_cluster() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let data_dir = runtime.block_on(database()).cluster().data_dir().to_path_buf();
    fs::write(argument(), data_dir.to_string_lossy().as_bytes()).unwrap();
}

#[test]
#[ignore = "run by a test above, as a process of its own"]
fn waits_for_ever() {
    note_cluster();
    loop {
        std::thread::park();
    }
}

#[test]
#[ignore = "run by a test above, as a process of its own"]
fn panics() {
    note_cluster();
    panic!("on purpose");
}

#[test]
#[ignore = "run by a test above, as a process of its own"]
fn ends() {
    note_cluster();
}

#[test]
#[ignore = "run by a test above, as a process of its own"]
fn starts_in() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(database());
}
