//! Data directories that cannot be used: one clear line each, and nothing lost.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use banyan_postgres::{Cluster, ClusterConfig, Error, StopMode, find, find_for};

use crate::scratch::{Scratch, config, is_root, tell};

/// One line, with the directory and a way out.
fn check_line(error: &Error, dir: &Path) {
    let line = error.to_string();
    println!("{line}");
    assert!(!line.contains('\n') && line.contains(&*dir.to_string_lossy()), "{line}");
    assert!(line.contains(';') || line.contains(": "), "no way out: {line}");
}

async fn fails(config: ClusterConfig) -> Error {
    let dir = config.data_dir.clone();
    let error = Cluster::start(config).await.unwrap_err();
    check_line(&error, &dir);
    error
}

#[tokio::test]
async fn another_major_version() {
    let scratch = Scratch::new();
    let cluster = scratch.start().await.unwrap();
    cluster.stop(StopMode::Fast).await.unwrap();
    fs::write(scratch.data_dir().join("PG_VERSION"), "12\n").unwrap();
    let error = find_for(&scratch.data_dir()).unwrap_err();
    check_line(&error, &scratch.data_dir());
    assert!(matches!(error, Error::NoBinariesFor { .. }));
    assert!(matches!(fails(config(&scratch.data_dir())).await, Error::OtherMajor { .. }));
    fs::write(scratch.data_dir().join("PG_VERSION"), "garbage\n").unwrap();
    assert!(matches!(find_for(&scratch.data_dir()), Err(Error::NotACluster { .. })));
    let major = find().unwrap().major.to_string();
    fs::write(scratch.data_dir().join("PG_VERSION"), format!("{major}\n")).unwrap();
    scratch.start().await.unwrap();
}

#[tokio::test]
async fn another_owner() {
    let scratch = Scratch::new();
    if is_root() {
        let cluster = scratch.start().await.unwrap();
        cluster.stop(StopMode::Fast).await.unwrap();
        chown(scratch.data_dir(), Some(0), Some(0)).unwrap();
        assert!(matches!(fails(config(&scratch.data_dir())).await, Error::OtherOwner { .. }));
    } else {
        assert!(matches!(fails(config(Path::new("/etc"))).await, Error::OtherOwner { .. }));
    }
}

#[tokio::test]
async fn not_a_cluster() {
    let scratch = Scratch::new();
    let photos = scratch.data_dir().join("photos");
    fs::create_dir_all(&photos).unwrap();
    assert!(matches!(fails(config(&scratch.data_dir())).await, Error::NotACluster { .. }));
    assert!(photos.exists());
}

#[tokio::test]
async fn in_use_by_a_server_that_is_not_ours() {
    let scratch = Scratch::new();
    let cluster = scratch.start().await.unwrap();
    let stranger = ClusterConfig { superuser: "somebody".into(), ..config(&scratch.data_dir()) };
    let error = fails(stranger).await;
    assert!(matches!(error, Error::InUse { pid, .. } if pid == cluster.pid()));
    assert!(cluster.pid().is_some());
}

#[tokio::test]
async fn in_use_by_a_frozen_server() {
    use nix::sys::signal::{Signal, kill};
    let scratch = Scratch::new();
    let cluster = scratch.start().await.unwrap();
    let pid = nix::unistd::Pid::from_raw(cluster.pid().unwrap());
    kill(pid, Signal::SIGSTOP).unwrap();
    let error = fails(config(&scratch.data_dir())).await;
    kill(pid, Signal::SIGCONT).unwrap();
    assert!(matches!(error, Error::InUse { .. }));
    assert!(scratch.start().await.unwrap().adopted());
}

#[tokio::test]
async fn too_long_and_unusable_paths() {
    let scratch = Scratch::new();
    let long = scratch.path().join("x/".repeat(500));
    assert!(matches!(fails(config(&long)).await, Error::PathTooLong { .. }));
    let long_name = scratch.path().join("x".repeat(300));
    assert!(matches!(fails(config(&long_name)).await, Error::PathTooLong { .. }));
    let odd = scratch.path().join("a$b");
    assert!(matches!(fails(config(&odd)).await, Error::PathUnusable { .. }));
    let below_a_file = scratch.path().join("file");
    fs::write(&below_a_file, "").unwrap();
    fails(config(&below_a_file.join("data"))).await;
    fails(config(&below_a_file)).await;
}

#[tokio::test]
async fn a_folder_that_may_not_be_written_or_entered() {
    let scratch = Scratch::new();
    let closed = scratch.path().join("closed");
    fs::create_dir(&closed).unwrap();
    let mode = if is_root() { 0o700 } else { 0o500 };
    fs::set_permissions(&closed, fs::Permissions::from_mode(mode)).unwrap();
    let error = Cluster::start(config(&closed.join("data"))).await.unwrap_err();
    check_line(&error, &closed);
    assert!(matches!(error, Error::Unreachable { .. } | Error::NotWritable { .. }));
}

#[tokio::test]
async fn a_cluster_with_other_permissions() {
    let scratch = Scratch::new();
    let cluster = scratch.start().await.unwrap();
    cluster.stop(StopMode::Fast).await.unwrap();
    fs::set_permissions(scratch.data_dir(), fs::Permissions::from_mode(0o755)).unwrap();
    assert!(matches!(fails(config(&scratch.data_dir())).await, Error::NotWritable { .. }));
    fs::set_permissions(scratch.data_dir(), fs::Permissions::from_mode(0o700)).unwrap();
    scratch.start().await.unwrap();
}

#[tokio::test]
async fn a_read_only_file_system() {
    let scratch = Scratch::new();
    let Some(mount) = Mount::new(&scratch, "200m") else { return };
    let data_dir = mount.0.join("data");
    let cluster = Cluster::start(config(&data_dir)).await.unwrap();
    cluster.stop(StopMode::Fast).await.unwrap();
    mount.again("remount,ro");
    assert!(matches!(fails(config(&data_dir)).await, Error::NotWritable { .. }));
    let fresh = mount.0.join("fresh");
    assert!(matches!(Cluster::start(config(&fresh)).await, Err(Error::NotWritable { .. })));
    mount.again("remount,rw");
    let cluster = Cluster::start(config(&data_dir)).await.unwrap();
    cluster.stop(StopMode::Fast).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_at_the_first_start() {
    let scratch = Scratch::new();
    let Some(mount) = Mount::new(&scratch, "10m") else { return };
    assert!(matches!(fails(config(&mount.0.join("data"))).await, Error::DiskFull { .. }));
    assert_eq!(fs::read_dir(&mount.0).unwrap().count(), 0, "a draft was left");
}

#[tokio::test]
async fn a_full_disk_at_a_later_start() {
    let scratch = Scratch::new();
    let Some(mount) = Mount::new(&scratch, "200m") else { return };
    let data_dir = mount.0.join("data");
    let cluster = Cluster::start(config(&data_dir)).await.unwrap();
    tell(&cluster, "CREATE TABLE t AS SELECT 7 AS n").await;
    cluster.stop(StopMode::Fast).await.unwrap();
    let filler = mount.0.join("filler");
    let full = fs::write(&filler, vec![0; 200 << 20]).unwrap_err();
    assert_eq!(full.kind(), std::io::ErrorKind::StorageFull);
    assert!(matches!(fails(config(&data_dir)).await, Error::DiskFull { .. }));
    fs::remove_file(filler).unwrap();
    let cluster = Cluster::start(config(&data_dir)).await.unwrap();
    cluster.stop(StopMode::Fast).await.unwrap();
}

#[tokio::test]
async fn a_mount_point_itself() {
    let scratch = Scratch::new();
    let Some(mount) = Mount::new(&scratch, "200m") else { return };
    assert!(matches!(fails(config(&mount.0)).await, Error::MountPoint { .. }));
}

/// A small file system of our own, unmounted at the end.
struct Mount(PathBuf);

impl Mount {
    fn new(scratch: &Scratch, size: &str) -> Option<Mount> {
        let point = scratch.path().join("mount");
        fs::create_dir(&point).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(&point)
            .output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            println!("skipped: only root may mount a small file system here");
            return None;
        }
        Some(Mount(point))
    }

    fn again(&self, options: &str) {
        assert!(Command::new("mount").args(["-o", options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").args(["-l"]).arg(&self.0).status();
    }
}
