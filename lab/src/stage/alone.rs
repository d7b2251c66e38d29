//! A module as a process of its own.

use std::{
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::Duration,
};

use nix::sys::signal::Signal;
use reqwest::StatusCode;
use serde_json::Value;

use super::{Stage, free_port, marked, process::Process, until};

const OPEN: Duration = Duration::from_secs(60);
const STOP: Duration = Duration::from_secs(30);

/// Where a service will listen, known before it runs: whoever calls it is started first.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    port: u16,
    admin: u16,
}

impl Addresses {
    /// On ports that are free now.
    #[must_use]
    pub fn draw() -> Self {
        Self { port: free_port(), admin: free_port() }
    }

    /// Where it is called.
    #[must_use]
    pub fn port(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(super) fn port_number(&self) -> u16 {
        self.port
    }

    pub(super) fn listen(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub(super) fn admin_listen(&self) -> String {
        format!("127.0.0.1:{}", self.admin)
    }

    /// Where it is looked after.
    #[must_use]
    pub fn admin(&self) -> String {
        format!("http://127.0.0.1:{}", self.admin)
    }
}

/// A service on the stage.
pub struct ServiceProcess {
    /// Where it listens.
    pub addresses: Addresses,
    module: &'static str,
    program: PathBuf,
    stage: PathBuf,
    log: PathBuf,
    env: Vec<(String, String)>,
    child: Option<Child>,
    process: Option<Process>,
}

impl ServiceProcess {
    /// Starts the service of a module, and returns when it is ready.
    ///
    /// # Panics
    /// When it is not within a minute.
    pub(super) async fn start(
        stage: &Stage,
        module: &'static str,
        addresses: Addresses,
        env: Vec<(String, String)>,
    ) -> Self {
        let program = super::program().with_file_name(format!("{module}-service"));
        let stage = stage.folder().to_owned();
        let log = stage.join(format!("{module}-{}.err", addresses.port));
        let mut service = Self { addresses, module, program, stage, log, env, child: None, process: None };
        service.restart().await;
        service
    }

    /// Where its log is.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Whether its process runs.
    #[must_use]
    pub fn lives(&self) -> bool {
        self.process.is_some_and(|process| process.lives())
    }

    /// Starts it again, on the same ports.
    ///
    /// # Panics
    /// When it does not become ready.
    pub async fn restart(&mut self) {
        let mut command = marked(&self.program, &self.stage, &[]);
        let log = fs::OpenOptions::new().create(true).append(true).open(&self.log).expect("a log");
        command.envs(self.env.iter().cloned()).process_group(0).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.program.display()));
        self.process = Process::now(i32::try_from(child.id()).expect("a process id"));
        self.child = Some(child);
        let what = format!("{} to be ready", self.module);
        until(OPEN, &what, async || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            assert!(ended.is_none(), "{ended:?}: {}", fs::read_to_string(&self.log).unwrap_or_default());
            matches!(self.ready().await, Some((StatusCode::OK, _))).then_some(())
        })
        .await;
    }

    /// What it says of itself and of those it depends on; none where it does not answer.
    pub async fn ready(&self) -> Option<(StatusCode, Value)> {
        let client = banyan_net::client().build().expect("a client");
        let answer = client.get(format!("{}/health/ready", self.addresses.admin())).send().await.ok()?;
        let status = answer.status();
        Some((status, answer.json().await.ok()?))
    }

    /// `kill -9`, and waits until the process is gone.
    ///
    /// # Panics
    /// When it does not run.
    pub async fn kill9(&mut self) {
        self.end(Signal::SIGKILL).await;
    }

    /// Stops it where it stands.
    ///
    /// # Panics
    /// When it does not run.
    pub fn freeze(&self) {
        self.process.as_ref().expect("a service that runs").signal(Signal::SIGSTOP);
    }

    /// Lets it go on.
    ///
    /// # Panics
    /// When it does not run.
    pub fn thaw(&self) {
        self.process.as_ref().expect("a service that runs").signal(Signal::SIGCONT);
    }

    /// Stops it as a supervisor would; whether it ended well.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    pub async fn stop(&mut self) -> bool {
        self.end(Signal::SIGTERM).await
    }

    async fn end(&mut self, signal: Signal) -> bool {
        self.process.take().expect("a service that runs").signal(signal);
        let mut child = self.child.take().expect("a service that was started");
        until(STOP, "the service to end", async || child.try_wait().ok().flatten()).await.success()
    }
}
