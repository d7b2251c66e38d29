//! Data folders that cannot be used: one line on stderr that names the folder and the way out; nothing lost.

use std::{
    ffi::CString,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

use banyan_lab::stage::{ShopOptions, ShopProcess, Stage, Wish};
use nix::unistd::geteuid;

const SETTLE: Duration = Duration::from_secs(60);
const KEY: &str = "kept";

/// A start that must come to nothing.
async fn refused(stage: &Stage, data: &Path, ways_out: &[&str]) {
    let data = data.display().to_string();
    let args = ["serve", "--data", &data, "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let Output { status, stderr, stdout } = stage.banyan(&args).await;
    let line = String::from_utf8_lossy(&stderr);
    println!("{}", line.trim().replace(&data, "DIR"));
    assert!(status.code().is_some_and(|code| code > 0), "{status}: {line}");
    assert_eq!(line.lines().count(), 1, "one line: {line}");
    assert!(line.contains(&data), "it names the folder: {line}");
    assert!(ways_out.iter().all(|way| line.contains(way)), "it names a way out, {ways_out:?}: {line}");
    assert!(stdout.is_empty(), "{}", String::from_utf8_lossy(&stdout));
}

async fn with_an_order(stage: &Stage, name: &str) -> (ShopProcess, String) {
    let shop = stage.shop(name, ShopOptions::default()).await;
    shop.stock(&["APPLE"], 10).await;
    let order = shop.place(&Wish::of("ada", KEY, &["APPLE"])).await;
    shop.settled(std::slice::from_ref(&order), SETTLE).await.unwrap();
    (shop, order)
}

async fn nothing_is_lost(shop: &ShopProcess, order: &str) {
    assert_eq!(shop.place(&Wish::of("ada", KEY, &["APPLE"])).await, order);
    shop.clean_audit(SETTLE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_use_or_of_another_postgres_or_of_another_owner() {
    let stage = Stage::new();
    let (mut shop, order) = with_an_order(&stage, "shop").await;
    let data = shop.data.clone();
    refused(&stage, &data, &["is in use", "stop that one"]).await;
    nothing_is_lost(&shop, &order).await;
    assert!(shop.stop().await.success());

    let version = data.join("postgres/PG_VERSION");
    let kept = fs::read(&version).unwrap();
    fs::write(&version, "9.6\n").unwrap();
    refused(&stage, &data, &["PostgreSQL 9.6", "install postgresql-9.6, or choose another"]).await;
    fs::write(&version, kept).unwrap();

    if geteuid().is_root() {
        let owned = data.join("postgres");
        let owner = fs::metadata(&owned).map(|found| std::os::unix::fs::MetadataExt::uid(&found)).unwrap();
        std::os::unix::fs::chown(&owned, Some(0), None).unwrap();
        refused(&stage, &data, &["belongs to root", "chown"]).await;
        std::os::unix::fs::chown(&owned, Some(owner), None).unwrap();
        std::os::unix::fs::chown(&data, Some(owner), None).unwrap();
        refused(&stage, &data, &["belongs to", "run as"]).await;
        std::os::unix::fs::chown(&data, Some(0), None).unwrap();
    } else {
        println!("skipped: another owner (only root can give a folder away)");
    }
    shop.restart().await;
    nothing_is_lost(&shop, &order).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn that_is_no_folder() {
    let stage = Stage::new();
    let file = stage.folder().join("file");
    fs::write(&file, "mine").unwrap();
    refused(&stage, &file, &["choose another"]).await;
    assert_eq!(fs::read(&file).unwrap(), b"mine");
}

/// A small file system of its own, for root alone; it goes with the stage.
struct Small(PathBuf);

impl Small {
    fn mount(stage: &Stage, options: &str) -> Option<Self> {
        let folder = stage.folder().join("small");
        fs::create_dir(&folder).unwrap();
        if !geteuid().is_root() {
            println!("skipped: a file system of its own needs root");
            return None;
        }
        let small = Self(folder);
        small.mounted(options, &["-t", "tmpfs", "tmpfs"]).then_some(small)
    }

    fn mounted(&self, options: &str, what: &[&str]) -> bool {
        let path = CString::new(self.0.as_os_str().as_encoded_bytes()).unwrap();
        let mounted =
            Command::new("mount").args(["-o", options]).args(what).arg(path.to_str().unwrap()).output();
        let mounted = mounted.is_ok_and(|output| output.status.success());
        if !mounted {
            println!("skipped: this machine lets nobody mount -o {options}");
        }
        mounted
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn read_only_or_on_a_full_disk() {
    let stage = Stage::new();
    let Some(small) = Small::mount(&stage, "size=400m,mode=0711") else { return };
    let (mut shop, order) = with_an_order(&stage, "small/shop").await;
    let data = shop.data.clone();
    assert!(shop.stop().await.success());

    if small.mounted("remount,ro", &[]) {
        refused(&stage, &data, &["make it writable, or choose another"]).await;
        assert!(small.mounted("remount,rw", &[]));
    }
    let filler = small.0.join("filler");
    fill(&filler);
    refused(&stage, &data, &["free some space"]).await;
    fs::remove_file(filler).unwrap();
    shop.restart().await;
    nothing_is_lost(&shop, &order).await;
    assert!(shop.stop().await.success());
}

/// Until not a byte fits in.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = fs::File::create(path).unwrap();
    let mut block = 1 << 20;
    while block > 0 {
        if file.write_all(&vec![0; block]).is_err() {
            block /= 16;
        }
    }
}
