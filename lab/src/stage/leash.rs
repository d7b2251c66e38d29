//! A small shell process that waits for the end of its input, whose other end we hold. However we end, it
//! then ends every process of the stage and removes its folder.

use std::{
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

/// $1 is the folder. Whoever carries the stage's mark is killed; a PostgreSQL, which carries none but names
/// its folder, is told to quit at once, so that its shared memory goes with it; an initdb is waited for.
/// After ten seconds nobody is asked any more.
const SCRIPT: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
quiet=0
for round in $(seq 150); do
    marked=$(grep -lzxF "BANYAN_STAGE=$1" /proc/[0-9]*/environ 2>/dev/null | tr -dc '0-9\n')
    named=$(grep -lz "$1[/]" /proc/[0-9]*/cmdline 2>/dev/null | tr -dc '0-9\n')
    for pid in $marked; do kill -9 "$pid" 2>/dev/null; done
    for pid in $named; do
        case $(cat "/proc/$pid/comm" 2>/dev/null) in
        initdb) [ "$round" -gt 100 ] && kill -9 "$pid" 2>/dev/null ;;
        *) [ "$round" -gt 100 ] && kill -9 "$pid" 2>/dev/null || kill -QUIT "$pid" 2>/dev/null ;;
        esac
    done
    if [ -z "$marked$named" ]; then quiet=$((quiet + 1)); else quiet=0; fi
    [ "$quiet" -eq 2 ] && break
    sleep 0.1
done
grep -F " $1/" /proc/mounts | cut -d' ' -f2 | sort -r | while read -r mounted; do umount -l "$mounted"; done
for round in $(seq 10); do
    rm -rf "$1"
    [ -e "$1" ] || exit 0
    sleep 0.3
done
"#;

pub(super) struct Leash {
    folder: PathBuf,
    child: Child,
}

impl Leash {
    /// Makes a folder that PostgreSQL's user may pass through, and holds it.
    pub(super) fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("banyan-stage-").tempdir().expect("a folder").keep();
        let mode = std::fs::Permissions::from_mode(0o711);
        std::fs::set_permissions(&folder, mode).expect("the folder is ours");
        // A process group of its own: an interrupt at the terminal ends the play, not its leash.
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "leash"]).arg(&folder).process_group(0).env_remove(super::MARK);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = command.spawn().unwrap_or_else(|error| panic!("no leash: {error}"));
        Self { folder, child }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Why it went wrong, as far as the shops knew.
    fn print_logs(&self) {
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let is_log = |path: &PathBuf| path.extension().is_some_and(|end| end == "err" || end == "out");
        for path in entries.map(|entry| entry.path()).filter(is_log) {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let lines: Vec<&str> = text.lines().collect();
            let tail = lines[lines.len().saturating_sub(12)..].join("\n  ");
            if !tail.is_empty() {
                eprintln!("{}:\n  {tail}", path.file_name().unwrap_or_default().display());
            }
        }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.print_logs();
        }
        drop(self.child.stdin.take());
        // It is bounded by itself; without its status nothing can be said.
        let _ = self.child.wait();
        if self.folder.exists() && !std::thread::panicking() {
            panic!("the stage {} could not be cleared", self.folder.display());
        }
    }
}
