//! The private sandbox: this binary again, as a supervised child. An orphan of a killed shop is stopped by
//! its pid and start time; its book is what lasts.

use std::{
    fs,
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

use super::StartError;
use crate::{
    config::{Config, Outside},
    place::{self, Place, Secrets},
};

const STATE: &str = "sandbox.json";
const START: Duration = Duration::from_secs(20);
/// One that a killed shop left behind is asked for so long.
const STOP: Duration = Duration::from_secs(4);
/// What was killed is gone as soon as the system has taken it away.
const KILLED_WITHIN: Duration = Duration::from_secs(1);
const BACK_OFF: Duration = Duration::from_millis(100);
const BACK_OFF_MAX: Duration = Duration::from_secs(5);

/// What the next shop must know of a running sandbox.
#[derive(Clone, Serialize, Deserialize)]
struct Left {
    pid: i32,
    /// Of the process, in clock ticks since the machine's start (`/proc/PID/stat`, field 22).
    started: u64,
    port: u16,
}

/// The running sandbox.
pub(super) struct Sandbox {
    outside: Outside,
    supervisor: tokio::task::JoinHandle<()>,
    pid: Arc<Mutex<Option<Left>>>,
}

#[derive(Clone)]
struct Plan {
    root: PathBuf,
    secrets: Secrets,
    faults: String,
    seed: u64,
    port: u16,
    deliver_after: Duration,
    /// Where it tells what was given back by hand.
    webhook: String,
}

impl Sandbox {
    /// None, when other gateways were named.
    pub(super) async fn start(
        config: &Config,
        place: &Place,
        secrets: &Secrets,
        api: &str,
    ) -> Result<Option<Self>, StartError> {
        if config.outside.is_some() {
            return Ok(None);
        }
        let root = config.data_dir.clone();
        let left: Option<Left> = place::read(&root, STATE)?;
        if let Some(left) = &left {
            end(left, STOP).await;
        }
        let port = left.map_or(0, |left| left.port);
        let faults = config.sandbox_faults.clone();
        let mut plan = Plan {
            root: place.path(""),
            secrets: secrets.clone(),
            faults,
            seed: config.faults.unwrap_or(0),
            port,
            deliver_after: config.sandbox_deliver_after,
            webhook: format!("{api}/v1/webhooks/payments"),
        };
        let (child, left) = match launch(&plan).await {
            // Somebody else took the port meanwhile.
            Err(_) if port != 0 => launch(&Plan { port: 0, ..plan.clone() }).await?,
            launched => launched?,
        };
        plan.port = left.port;
        let address = format!("http://127.0.0.1:{}", left.port);
        let outside = Outside {
            carrier: (address.clone(), secrets.gateway.clone()),
            address,
            secret: secrets.gateway.clone(),
            control: Some(secrets.control.clone()),
            webhook_secrets: vec![secrets.webhook()],
        };
        let pid = Arc::new(Mutex::new(Some(left)));
        let supervisor = tokio::spawn(supervise(plan, child, pid.clone()));
        Ok(Some(Self { outside, supervisor, pid }))
    }

    pub(super) fn outside(&self) -> Outside {
        self.outside.clone()
    }

    /// Whether it ended as it was asked.
    pub(super) async fn stop(self, within: Duration) -> bool {
        self.supervisor.abort();
        let left = self.pid.lock().unwrap_or_else(PoisonError::into_inner).take();
        match left {
            Some(left) => end(&left, within).await,
            None => true,
        }
    }
}

async fn supervise(plan: Plan, mut child: Child, pid: Arc<Mutex<Option<Left>>>) {
    let mut back_off = BACK_OFF;
    loop {
        let ended = child.wait().await;
        tracing::warn!(?ended, "the sandbox ended; it is started again");
        loop {
            tokio::time::sleep(back_off).await;
            match launch(&plan).await {
                Ok((next, left)) => {
                    child = next;
                    *pid.lock().unwrap_or_else(PoisonError::into_inner) = Some(left);
                    back_off = BACK_OFF;
                    break;
                }
                Err(error) => {
                    back_off = (back_off * 2).min(BACK_OFF_MAX);
                    tracing::warn!(%error, "the sandbox does not start");
                }
            }
        }
    }
}

/// Starts a sandbox and waits until it says where it listens.
async fn launch(plan: &Plan) -> Result<(Child, Left), StartError> {
    let failed = |why: String| StartError::Sandbox(why);
    let program = this_program().map_err(|error| failed(error.to_string()))?;
    let log = fs::OpenOptions::new().create(true).append(true).open(plan.root.join("sandbox.log"));
    let log = log.map_err(|error| failed(error.to_string()))?;
    let mut child = Command::new(program)
        .arg0("banyan")
        .args(["sandbox", "--port", &plan.port.to_string(), "--faults", &plan.faults])
        .args(["--seed", &plan.seed.to_string(), "--very-late-ms", "12000"])
        // Longer than the development run holds stock: the slow card meets an expired hold.
        .args(["--slow-ms", "12000", "--book"])
        .arg(plan.root.join("book"))
        .args(["--deliver-after-s", &plan.deliver_after.as_secs().to_string()])
        // Of what the shop asks for itself it hears by the answer.
        .args(["--webhook-url", &plan.webhook, "--webhook-events", "charge.refunded,charge.dispute.created"])
        .env("BANYAN_WEBHOOK_SECRET", plan.secrets.webhook())
        .env("BANYAN_GATEWAY_SECRET", &plan.secrets.gateway)
        .env("BANYAN_CONTROL_TOKEN", &plan.secrets.control)
        // A shop's Ctrl-C is for the shop: it stops the sandbox last.
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .map_err(|error| failed(error.to_string()))?;
    let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
    let left = Left { pid, started: started(pid).unwrap_or_default(), port: plan.port };
    // At once: whoever comes after a shop that was killed here must know whom to end.
    if let Err(error) = place::write(&plan.root, STATE, &left) {
        end_child(&mut child).await;
        return Err(error.into());
    }
    let output = child.stdout.take().ok_or_else(|| failed("it has no output".to_owned()))?;
    let mut lines = BufReader::new(output).lines();
    let line = tokio::time::timeout(START, lines.next_line()).await;
    let port =
        line.ok().and_then(|line| line.ok().flatten()).and_then(|line| line.rsplit(':').next()?.parse().ok());
    let Some(port) = port else {
        // It may still live, without a port to be known by.
        end_child(&mut child).await;
        return Err(failed(format!("see {}", plan.root.join("sandbox.log").display())));
    };
    let left = Left { port, ..left };
    if let Err(error) = place::write(&plan.root, STATE, &left) {
        end_child(&mut child).await;
        return Err(error.into());
    }
    Ok((child, left))
}

/// This very program, even when another one was built in its place meanwhile: its own path then leads to that one, or nowhere.
fn this_program() -> std::io::Result<PathBuf> {
    let running = PathBuf::from("/proc/self/exe");
    if running.exists() { Ok(running) } else { std::env::current_exe() }
}

async fn end_child(child: &mut Child) {
    // One that has ended already cannot be killed, which is as well.
    let _ = child.kill().await;
}

/// When a process began; none, if there is none.
fn started(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

/// Ends a sandbox, if that process is still the one: it is asked, and when the time is over, killed. False, where that was needed.
async fn end(left: &Left, within: Duration) -> bool {
    if has_ended(left, Signal::SIGTERM, within).await {
        return true;
    }
    tracing::warn!(pid = left.pid, correlation = "", "the sandbox does not stop, and is killed");
    has_ended(left, Signal::SIGKILL, KILLED_WITHIN).await;
    false
}

async fn has_ended(left: &Left, signal: Signal, within: Duration) -> bool {
    let alive = || started(left.pid) == Some(left.started) && !is_zombie(left.pid);
    let deadline = tokio::time::Instant::now() + within;
    if alive() {
        // It may end between the look and the signal.
        let _ = kill(Pid::from_raw(left.pid), signal);
    }
    while alive() && tokio::time::Instant::now() < deadline {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    !alive()
}

fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'))
}
