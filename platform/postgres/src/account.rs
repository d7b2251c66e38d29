//! Who runs the server: ourselves, or, since PostgreSQL refuses root, a user with fewer rights.

use std::ffi::OsStr;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::{env, fs, io};

use nix::unistd::{Gid, Uid, User, getegid, geteuid};
use tokio::process::Command;

use crate::error::Error;

/// What the tools may see of our environment: no `PG*`, whose meaning would differ from what we say.
const PASSED_ON: [&str; 6] = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "ICU_DATA"];

/// The system's user that runs the server and owns its files.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    gid: u32,
    pub(crate) name: String,
    /// We are root and step down to this account.
    steps_down: bool,
}

impl Account {
    /// The account for a data directory: ourselves; for root the directory's owner, else postgres or nobody.
    pub(crate) fn for_data_dir(data_dir: &Path) -> Result<Account, Error> {
        let owner = fs::metadata(data_dir).ok().map(|found| found.uid());
        let has_cluster = data_dir.join("PG_VERSION").exists();
        if !geteuid().is_root() {
            return Account::ourselves(data_dir, owner);
        }
        match owner {
            Some(0) if has_cluster => Err(other_owner(data_dir, 0, "postgres")),
            Some(uid) if uid != 0 => Ok(Account::stepping_down_to(uid)),
            _ => Account::unprivileged(),
        }
    }

    fn ourselves(data_dir: &Path, owner: Option<u32>) -> Result<Account, Error> {
        let uid = geteuid();
        let name = name_of(uid.as_raw());
        match owner {
            Some(owner) if owner != uid.as_raw() => Err(other_owner(data_dir, owner, &name)),
            _ => Ok(Account { uid: uid.as_raw(), gid: getegid().as_raw(), name, steps_down: false }),
        }
    }

    /// The user postgres, else nobody.
    fn unprivileged() -> Result<Account, Error> {
        let known = ["postgres", "nobody"].iter().find_map(|name| User::from_name(name).ok().flatten());
        known.map(|user| Account::stepping_down_to(user.uid.as_raw())).ok_or(Error::NoUser)
    }

    fn stepping_down_to(uid: u32) -> Account {
        let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
        let gid = user.map_or(Gid::from_raw(uid), |user| user.gid).as_raw();
        Account { uid, gid, name: name_of(uid), steps_down: true }
    }

    /// A command run by this account, in the root folder, with nothing on its standard input.
    ///
    /// Stepping down also gives up the supplementary groups.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env_clear().env("LC_ALL", "C").current_dir("/").stdin(Stdio::null());
        for name in PASSED_ON {
            command.envs(env::var_os(name).map(|value| (name, value)));
        }
        if self.steps_down {
            command.env("HOME", "/").uid(self.uid).gid(self.gid);
        }
        command
    }

    /// Gives a file or directory that we just made to this account.
    pub(crate) fn give(&self, path: &Path) -> io::Result<()> {
        if self.steps_down { chown(path, Some(self.uid), Some(self.gid)) } else { Ok(()) }
    }

    /// Makes a directory of mode 0700 that belongs to this account.
    pub(crate) fn make_private_dir(&self, path: &Path) -> io::Result<()> {
        fs::DirBuilder::new().mode(0o700).create(path)?;
        self.give(path)
    }

    /// Makes the missing directories down to `path`; those that root makes can be entered by the account.
    pub(crate) fn make_dirs(&self, path: &Path) -> io::Result<()> {
        if path.is_dir() {
            return Ok(());
        }
        if let Some(above) = path.parent() {
            self.make_dirs(above)?;
        }
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
            made => made?,
        }
        if self.steps_down { fs::set_permissions(path, fs::Permissions::from_mode(0o755)) } else { Ok(()) }
    }

    /// Checks that the account can enter `dir` and run the server in `bin_dir`.
    pub(crate) async fn check_reach(&self, dir: &Path, bin_dir: &Path) -> Result<(), Error> {
        if !self.steps_down {
            return Ok(());
        }
        let server = bin_dir.join("postgres");
        for (path, named) in [(dir, dir), (server.as_path(), bin_dir)] {
            let status = self.command("test").arg("-x").arg(path).status().await;
            if !status.is_ok_and(|status| status.success()) {
                return Err(Error::Unreachable { dir: PathBuf::from(named), user: self.name.clone() });
            }
        }
        Ok(())
    }
}

fn other_owner(data_dir: &Path, owner: u32, user: &str) -> Error {
    Error::OtherOwner { dir: data_dir.to_path_buf(), owner: name_of(owner), user: user.to_owned() }
}

fn name_of(uid: u32) -> String {
    let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
    user.map_or_else(|| uid.to_string(), |user| user.name)
}
