//! A real Apache Kafka broker for tests, one node, thrown away with the test process.
//!
//! It is on a leash: a small shell process waits for the end of its standard input, whose other end the test process
//! holds. However that process ends, the shell then kills the broker and removes its folder.

use std::{
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use rdkafka::{admin::AdminClient, client::DefaultClientContext};

use crate::Cluster;

/// Longer than it takes on a busy machine.
const READY: Duration = Duration::from_secs(180);
const POLL: Duration = Duration::from_millis(20);
/// How `broker.sh` says that Java or Maven is missing.
const SKIPPED: i32 = 3;

/// $1 is the folder: whoever names something in it is killed.
const LEASH: &str = r#"
trap '' INT TERM HUP
cat >/dev/null
for round in $(seq 50); do
    named=$(grep -lz "$1[/]" /proc/[0-9]*/cmdline 2>/dev/null | tr -dc '0-9\n')
    for pid in $named; do kill -9 "$pid" 2>/dev/null; done
    [ -z "$named" ] && rm -rf "$1" && [ ! -e "$1" ] && exit 0
    sleep 0.1
done
"#;

const LOG: &str = r#"<Configuration status="ERROR">
  <Appenders><Console name="out"><PatternLayout pattern="%d %p %m%n"/></Console></Appenders>
  <Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers>
</Configuration>
"#;

/// A broker and its data.
pub struct Broker {
    folder: PathBuf,
    jars: PathBuf,
    port: u16,
    process: Mutex<Child>,
    _leash: ChildStdin,
}

impl Broker {
    /// A new one, empty and ready; none, and why, where there is no Java or no Maven.
    ///
    /// # Panics
    /// When there are, and its jars cannot be fetched or it does not start.
    pub fn start() -> Result<Self, String> {
        let jars = jars()?;
        let folder = tempfile::Builder::new().prefix("banyan-kafka-").tempdir().expect("a folder").keep();
        let leash = leash(&folder);
        let [port, controller] = free_ports();
        settings(&folder, port, controller);
        let process = Mutex::new(format_and_run(&jars, &folder));
        let broker = Self { folder, jars, port, process, _leash: leash };
        broker.await_ready();
        Ok(broker)
    }

    /// Its cluster, with topics of their own.
    #[must_use]
    pub fn cluster(&self, prefix: &str) -> Cluster {
        Cluster { prefix: prefix.to_owned(), ..Cluster::new(format!("127.0.0.1:{}", self.port)) }
    }

    /// Ends it as `kill -9` does.
    ///
    /// # Panics
    /// When it cannot be waited for.
    pub fn kill(&self) {
        let mut process = self.process();
        process.kill().expect("the broker is ours");
        process.wait().expect("the broker is ours");
    }

    /// Starts it again on the same data, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn restart(&self) {
        *self.process() = run(&self.jars, &self.folder);
        self.await_ready();
    }

    /// Starts it again at the same address on nothing, as another cluster, and waits until it is ready.
    ///
    /// # Panics
    /// When it does not become ready.
    pub fn restart_empty(&self) {
        std::fs::remove_dir_all(self.folder.join("data")).expect("the data is ours");
        *self.process() = format_and_run(&self.jars, &self.folder);
        self.await_ready();
    }

    /// Stops it between two instructions, or lets it go on.
    ///
    /// # Panics
    /// When there is no such process.
    pub fn freeze(&self, frozen: bool) {
        let pid = Pid::from_raw(self.process().id().cast_signed());
        kill(pid, if frozen { Signal::SIGSTOP } else { Signal::SIGCONT }).expect("the broker is ours");
    }

    fn process(&self) -> std::sync::MutexGuard<'_, Child> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn await_ready(&self) {
        let until = Instant::now() + READY;
        let client: AdminClient<DefaultClientContext> =
            self.cluster("").client().set("log_level", "0").create().expect("a client");
        let answers = || {
            let metadata = client.inner().fetch_metadata(None, Duration::from_millis(500));
            metadata.is_ok_and(|metadata| !metadata.brokers().is_empty())
        };
        while !answers() {
            assert!(Instant::now() < until, "the broker is not ready:\n{}", self.log());
            std::thread::sleep(POLL);
        }
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }
}

/// Where the jars are, fetched when they are missing: one folder for all builds of this workspace.
fn jars() -> Result<PathBuf, String> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = std::env::var_os("BANYAN_KAFKA_JARS")
        .map_or(here.join("../../target/tools/kafka-4.1.0"), PathBuf::from);
    let fetched = Command::new("sh").arg(here.join("broker.sh")).arg(&folder).output();
    let fetched = fetched.map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&fetched.stderr).trim().to_owned();
    match fetched.status.code() {
        Some(0) => Ok(folder.join("lib")),
        Some(SKIPPED) => Err(said),
        _ => panic!("the broker's jars cannot be fetched: {said}"),
    }
}

fn leash(folder: &Path) -> ChildStdin {
    // A process group of its own: an interrupt at the terminal ends the test, not its leash.
    let mut command = Command::new("sh");
    command.args(["-c", LEASH, "leash"]).arg(folder).process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("a shell").stdin.take().expect("it was asked for as a pipe")
}

fn free_ports() -> [u16; 2] {
    let bound = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a free port"));
    bound.map(|listener| listener.local_addr().expect("it is bound").port())
}

fn settings(folder: &Path, port: u16, controller: u16) {
    let data = folder.join("data");
    let text = format!(
        "process.roles=broker,controller\nnode.id=1\ncontroller.quorum.voters=1@127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port}\ncontroller.listener.names=CONTROLLER\n\
         log.dirs={}\noffsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\n\
         transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\nbroker.session.timeout.ms=3000\nauto.create.topics.enable=false\n",
        data.display()
    );
    std::fs::write(folder.join("server.properties"), text).expect("the folder is ours");
    std::fs::write(folder.join("log4j2.xml"), LOG).expect("the folder is ours");
}

fn java(jars: &Path, folder: &Path, memory: &str) -> Command {
    let mut command = Command::new("java");
    command.args([memory, "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]);
    command.arg(format!("-Dlog4j2.configurationFile={}", folder.join("log4j2.xml").display()));
    command.arg("-cp").arg(jars.join("*")).stdin(Stdio::null());
    let log = || std::fs::File::options().create(true).append(true).open(folder.join("log")).expect("a log");
    command.stdout(log()).stderr(log());
    command
}

fn format_and_run(jars: &Path, folder: &Path) -> Child {
    let mut format = java(jars, folder, "-Xmx128m");
    let id = uuid::Uuid::new_v4();
    format.args(["kafka.tools.StorageTool", "format", "-t", &id.simple().to_string()[..22], "-c"]);
    let done = format.arg(folder.join("server.properties")).status().expect("java runs");
    assert!(done.success(), "the broker's folder cannot be formatted");
    run(jars, folder)
}

fn run(jars: &Path, folder: &Path) -> Child {
    let mut command = java(jars, folder, "-Xmx384m");
    command.arg("kafka.Kafka").arg(folder.join("server.properties"));
    command.spawn().expect("java runs")
}
