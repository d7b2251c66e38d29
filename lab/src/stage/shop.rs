//! One shop: a process of `banyan serve` with what it starts by itself.

use std::{
    fs,
    ops::Deref,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;

use super::{Stage, client::ShopClient, free_port, marked, process::Process, until};

/// First start with initdb on a busy machine.
const OPEN: Duration = Duration::from_secs(90);
const STOP: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(5);

/// How a shop is to be.
#[derive(Clone, Debug)]
pub struct ShopOptions {
    /// The command; `serve` unless told otherwise.
    pub command: String,
    /// Beyond the data folder and the addresses.
    pub args: Vec<String>,
    /// Beyond what it gets from us.
    pub env: Vec<(String, String)>,
    /// Another database than a private one.
    pub database_url: Option<String>,
}

impl Default for ShopOptions {
    fn default() -> Self {
        Self { command: "serve".to_owned(), args: Vec::new(), env: Vec::new(), database_url: None }
    }
}

impl ShopOptions {
    /// With these arguments.
    #[must_use]
    pub fn args(args: &[&str]) -> Self {
        Self { args: args.iter().map(|arg| (*arg).to_owned()).collect(), ..Self::default() }
    }

    /// A second shop on the database and with the outside world of another.
    #[must_use]
    pub fn beside(other: &ShopClient) -> Self {
        let outside = other.outside();
        Self {
            args: vec!["--gateway-url".to_owned(), outside.address],
            env: vec![
                ("BANYAN_GATEWAY_SECRET".to_owned(), outside.secret),
                ("BANYAN_CONTROL_TOKEN".to_owned(), outside.control),
            ],
            database_url: Some(other.database_url()),
            ..Self::default()
        }
    }
}

/// A shop on the stage. It dereferences to its [`ShopClient`].
pub struct ShopProcess {
    /// Its process; another after a restart.
    pub pid: i32,
    /// How long the last start took until the shop was open.
    pub opened_in: Duration,
    client: ShopClient,
    options: ShopOptions,
    program: PathBuf,
    stage: PathBuf,
    ports: (u16, u16),
    child: Option<Child>,
    process: Option<Process>,
}

impl Deref for ShopProcess {
    type Target = ShopClient;
    fn deref(&self) -> &ShopClient {
        &self.client
    }
}

impl ShopProcess {
    pub(super) async fn start(stage: &Stage, data: PathBuf, options: ShopOptions) -> Result<Self, String> {
        let ports = (free_port(), free_port());
        let (program, folder) = (stage.program.clone(), stage.folder().to_owned());
        let client = ShopClient::new(&program, &folder, data, ports);
        let mut shop = Self {
            pid: 0,
            opened_in: Duration::ZERO,
            client,
            options,
            program,
            stage: folder,
            ports,
            child: None,
            process: None,
        };
        shop.open().await?;
        Ok(shop)
    }

    /// To reach it from another task.
    #[must_use]
    pub fn client(&self) -> ShopClient {
        self.client.clone()
    }

    /// Whether its process runs.
    #[must_use]
    pub fn lives(&self) -> bool {
        self.process.is_some_and(|process| process.lives())
    }

    /// `kill -9`, and waits until the process is gone. What it had started lives on.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill9(&mut self) {
        self.signal(Signal::SIGKILL);
        self.ended().await;
    }

    /// Stops it as a supervisor would, and waits for its end.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    pub async fn stop(&mut self) -> ExitStatus {
        self.stop_by(Signal::SIGTERM).await
    }

    /// Stops it by that signal, and waits for its end.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    pub async fn stop_by(&mut self, signal: Signal) -> ExitStatus {
        self.signal(signal);
        self.ended().await
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it does not run.
    pub fn signal(&self, signal: Signal) {
        assert!(self.lives(), "the shop in {} does not run", self.data.display());
        if let Some(process) = self.process {
            process.signal(signal);
        }
    }

    /// Stops it where it stands, and returns when it stands.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn freeze(&self) {
        self.signal(Signal::SIGSTOP);
        until(STOP, "the shop to stand still", async || self.process.filter(Process::is_frozen)).await;
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn thaw(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Starts it again, same folder, same ports; one that runs is killed first.
    ///
    /// # Panics
    /// When it does not open.
    pub async fn restart(&mut self) {
        if self.lives() {
            self.kill9().await;
        }
        self.open().await.unwrap_or_else(|why| panic!("the shop did not open again: {why}"));
    }

    /// As [`Self::restart`], and to be otherwise from now on.
    ///
    /// # Panics
    /// When it does not open.
    pub async fn restart_as(&mut self, options: ShopOptions) {
        self.options = options;
        self.restart().await;
    }

    async fn ended(&mut self) -> ExitStatus {
        let child = self.child.as_mut().expect("a shop that was started");
        let status = until(STOP, "the shop to end", async || child.try_wait().ok().flatten()).await;
        self.child = None;
        self.process = None;
        status
    }

    fn log(&self, end: &str) -> PathBuf {
        self.data.with_extension(end)
    }

    /// Starts the process and waits until it says that it is open.
    async fn open(&mut self) -> Result<(), String> {
        let begun = Instant::now();
        let (out, err) = (self.log("out"), self.log("err"));
        let file = |path: &PathBuf| fs::File::create(path).expect("a log in the stage's folder");
        let mut command = self.serve();
        // An interrupt at the terminal ends the play, and the leash the shop.
        command.process_group(0).stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err));
        let mut child = command.spawn().map_err(|error| error.to_string())?;
        self.pid = i32::try_from(child.id()).expect("a process id");
        self.process = Process::now(self.pid);
        loop {
            let ended = child.try_wait().map_err(|error| error.to_string())?;
            if fs::read_to_string(&out).is_ok_and(|text| text.contains("the shop is open")) {
                (self.child, self.opened_in) = (Some(child), begun.elapsed());
                return Ok(());
            }
            let words = || fs::read_to_string(&err).unwrap_or_default();
            if let Some(status) = ended {
                return Err(format!("{status}: {}", words()));
            }
            if begun.elapsed() > OPEN {
                // It is killed and waited for; that it may have ended by itself changes nothing.
                let _ = child.kill().and_then(|()| child.wait());
                return Err(format!("not open within {OPEN:?}: {}", words()));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn serve(&self) -> Command {
        let (api, admin) = self.ports;
        let mut command = marked(&self.program, &self.stage, &[&self.options.command]);
        command.arg("--data").arg(&self.data);
        command.args([
            "--listen",
            &format!("127.0.0.1:{api}"),
            "--admin-listen",
            &format!("127.0.0.1:{admin}"),
        ]);
        command.args(&self.options.args).envs(self.options.env.iter().cloned());
        if let Some(url) = &self.options.database_url {
            command.env("DATABASE_URL", url);
        }
        command
    }
}
