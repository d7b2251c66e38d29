//! Where a callee's instances are: a list that is given, or what a name resolves to, asked again every few seconds.

use std::{io, net::SocketAddr, str::FromStr, sync::Arc, time::Duration};

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

/// Where the instances of a callee are, as it is written in settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    at: At,
    /// What comes before each path.
    path: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    /// At these base addresses.
    Fixed(Vec<String>),
    /// At whatever the name resolves to, at that port.
    Dns(String, u16),
}

impl FromStr for Location {
    type Err = String;

    /// `http://HOST:PORT/PATH`, several joined by commas; or `dns://HOST:PORT/PATH`. The path is mostly none.
    fn from_str(text: &str) -> Result<Self, String> {
        let no_port = || format!("{text} is no dns://HOST:PORT");
        if let Some(name) = text.trim().strip_prefix("dns://") {
            let (name, path) = name.split_once('/').unwrap_or((name, ""));
            let (host, port) = name.rsplit_once(':').ok_or_else(no_port)?;
            let at = At::Dns(host.to_owned(), port.parse().map_err(|_| no_port())?);
            return Ok(Self { at, path: String::new() }.under(path));
        }
        let address = |one: &str| match one.trim().parse::<reqwest::Url>() {
            Ok(url) if ["http", "https"].contains(&url.scheme()) => {
                Ok(one.trim().trim_end_matches('/').to_owned())
            }
            _ => Err(format!("{one} is no http://HOST:PORT")),
        };
        let at = At::Fixed(text.split(',').map(address).collect::<Result<_, _>>()?);
        Ok(Self { at, path: String::new() })
    }
}

impl Location {
    /// The same instances, at a path of theirs.
    #[must_use]
    pub fn under(&self, path: &str) -> Self {
        let path = path.trim_matches('/');
        let path = if path.is_empty() { self.path.clone() } else { format!("{}/{path}", self.path) };
        Self { at: self.at.clone(), path }
    }
}

/// A list of instances that may change.
pub struct Registry {
    pub(super) addresses: watch::Receiver<Addresses>,
    /// Whoever keeps it up to date.
    pub(super) _keeper: Option<AbortOnDropHandle<()>>,
}

impl Registry {
    /// As settings say.
    #[must_use]
    pub fn of(location: &Location) -> Self {
        match &location.at {
            At::Fixed(all) => Self::fixed(all.iter().map(|one| format!("{one}{}", location.path))),
            At::Dns(host, port) => Self::dns(host.clone(), *port, location.path.clone()),
        }
    }

    /// The base addresses that are known now.
    #[must_use]
    pub fn now(&self) -> Addresses {
        self.addresses.borrow().clone()
    }

    /// Always these base addresses.
    pub fn fixed(addresses: impl IntoIterator<Item = String>) -> Self {
        let addresses: Vec<String> =
            addresses.into_iter().map(|one| one.trim_end_matches('/').to_owned()).collect();
        Self { addresses: watch::Sender::new(addresses.into()).subscribe(), _keeper: None }
    }

    /// All that `http://HOST:PORT` resolves to. What was known stays known while the name cannot be asked.
    fn dns(host: String, port: u16, path: String) -> Self {
        Self::resolved(
            path,
            Box::new(move || {
                let host = host.clone();
                Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
            }),
        )
    }

    fn resolved(path: String, resolve: Resolve) -> Self {
        let tell = watch::Sender::new(Addresses::from([]));
        let addresses = tell.subscribe();
        let keeper = tokio::spawn(async move {
            loop {
                keep(&tell, &path, resolve().await);
                tokio::time::sleep(ASK_AGAIN).await;
            }
        });
        Self { addresses, _keeper: Some(AbortOnDropHandle::new(keeper)) }
    }
}

fn keep(tell: &watch::Sender<Addresses>, path: &str, resolved: io::Result<Vec<SocketAddr>>) {
    match resolved {
        Ok(found) if !found.is_empty() => {
            let mut found: Vec<String> =
                found.iter().map(|address| format!("http://{address}{path}")).collect();
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
        let mut registry = Registry::resolved("/told".to_owned(), Box::new(resolve));
        let mut next = async || {
            registry.addresses.changed().await.expect("a keeper");
            registry.addresses.borrow_and_update().to_vec()
        };
        assert_eq!(next().await, ["http://10.0.0.1:1/told", "http://10.0.0.1:2/told"]);
        *locked(&answers) = Err(io::ErrorKind::TimedOut.into());
        tokio::time::sleep(ASK_AGAIN * 3).await;
        say(&[3]);
        assert_eq!(next().await, ["http://10.0.0.1:3/told"], "and nothing in between");
    }

    #[test]
    fn a_location_is_addresses_or_a_name_and_a_path_of_theirs() {
        let read = |text: &str| text.parse::<Location>();
        let two = read("http://10.0.0.1:80/shop/, https://b.example:443").expect("two");
        let urls = Registry::of(&two.under("/told")).addresses.borrow().to_vec();
        assert_eq!(urls, ["http://10.0.0.1:80/shop/told", "https://b.example:443/told"]);
        assert_eq!(read("dns://b.example:80/shop").expect("a name").under("told").path, "/shop/told");
        for wrong in
            ["", "10.0.0.1:80", "ftp://10.0.0.1", "dns://b.example", "dns://b.example:many", "http://a,b"]
        {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
