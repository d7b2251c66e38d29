//! Where a callee's instances are: a list that is given, or what a name resolves to, asked again every few seconds.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// A name that resolves to more is cut.
const INSTANCES_MAX: usize = 64;
/// How often a name is asked for.
const ASK_AGAIN: Duration = Duration::from_secs(5);

/// Base addresses, as they are now.
pub type Addresses = Arc<[String]>;
type Resolve = Box<dyn Fn() -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// A list of instances that may change.
pub struct Registry {
    pub(super) addresses: watch::Receiver<Addresses>,
    /// Whoever keeps it up to date.
    pub(super) _keeper: Option<AbortOnDropHandle<()>>,
}

impl Registry {
    /// Always these base addresses.
    pub fn fixed(addresses: impl IntoIterator<Item = String>) -> Self {
        let addresses: Vec<String> =
            addresses.into_iter().map(|one| one.trim_end_matches('/').to_owned()).collect();
        Self { addresses: watch::Sender::new(addresses.into()).subscribe(), _keeper: None }
    }

    /// All that `http://HOST:PORT` resolves to. What was known stays known while the name cannot be asked.
    #[must_use]
    pub fn dns(host: String, port: u16) -> Self {
        Self::resolved(Box::new(move || {
            let host = host.clone();
            Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
        }))
    }

    fn resolved(resolve: Resolve) -> Self {
        let tell = watch::Sender::new(Addresses::from([]));
        let addresses = tell.subscribe();
        let keeper = tokio::spawn(async move {
            loop {
                keep(&tell, resolve().await);
                tokio::time::sleep(ASK_AGAIN).await;
            }
        });
        Self { addresses, _keeper: Some(AbortOnDropHandle::new(keeper)) }
    }
}

fn keep(tell: &watch::Sender<Addresses>, resolved: io::Result<Vec<SocketAddr>>) {
    match resolved {
        Ok(found) if !found.is_empty() => {
            let mut found: Vec<String> = found.iter().map(|address| format!("http://{address}")).collect();
            found.sort();
            found.dedup();
            found.truncate(INSTANCES_MAX);
            tell.send_if_modified(|known| {
                let changed = known[..] != found[..];
                if changed {
                    tracing::info!(correlation = "", instances = ?found, "the registry's list changed");
                    *known = found.into();
                }
                changed
            });
        }
        Ok(_) => {
            tracing::warn!(correlation = "", "a callee's name stands for nobody; those known are asked on")
        }
        Err(error) => {
            tracing::warn!(%error, correlation = "", "a callee's name cannot be resolved; those known are asked on");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::call::locked;

    #[tokio::test(start_paused = true)]
    async fn a_name_is_asked_again_and_what_was_known_outlives_its_silence() {
        let answers: Arc<Mutex<io::Result<Vec<SocketAddr>>>> = Arc::new(Mutex::new(Ok(Vec::new())));
        let said = answers.clone();
        let say = |ports: &[u16]| {
            *locked(&answers) =
                Ok(ports.iter().map(|port| SocketAddr::from(([10, 0, 0, 1], *port))).collect());
        };
        say(&[2, 1]);
        let resolve = move || -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
            let answer = match &*locked(&said) {
                Ok(found) => Ok(found.clone()),
                Err(error) => Err(io::Error::from(error.kind())),
            };
            Box::pin(std::future::ready(answer))
        };
        let mut registry = Registry::resolved(Box::new(resolve));
        let mut next = async || {
            registry.addresses.changed().await.expect("a keeper");
            registry.addresses.borrow_and_update().to_vec()
        };
        assert_eq!(next().await, ["http://10.0.0.1:1", "http://10.0.0.1:2"]);
        *locked(&answers) = Err(io::ErrorKind::TimedOut.into());
        tokio::time::sleep(ASK_AGAIN * 3).await;
        say(&[3]);
        assert_eq!(next().await, ["http://10.0.0.1:3"], "and nothing in between");
    }
}
