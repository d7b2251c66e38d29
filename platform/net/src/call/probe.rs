//! Asks instances whether they can work, before somebody's call finds out that they cannot: once a second, whoever calls them and however
//! often. An instance is one listener, whatever paths it is called at.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, Weak},
    time::Duration,
};

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;
use utoipa::ToSchema;

use super::locked;

/// Between an answer and the next question.
pub const EVERY: Duration = Duration::from_secs(1);
/// Longer than an instance may take to find out that its own database does not answer.
const WITHIN: Duration = Duration::from_millis(2_500);

/// What an instance says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Says {
    /// It can work.
    Ready,
    /// It cannot, or is being stopped.
    NotReady,
    /// Nothing: why.
    Nothing(String),
}

type Ask = Arc<dyn Fn(String) -> BoxFuture<'static, Says> + Send + Sync>;

/// All that are asked by this process.
#[derive(Clone)]
pub struct Probes {
    ask: Ask,
    /// By scheme, host and port; as long as somebody calls there.
    known: Arc<Mutex<BTreeMap<String, Weak<Probe>>>>,
}

impl fmt::Debug for Probes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probes").finish_non_exhaustive()
    }
}

impl Probes {
    /// By HTTP.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn by_http() -> Result<Self, reqwest::Error> {
        let client = crate::client().http1_only().timeout(WITHIN).build()?;
        Ok(Self::asking(move |instance| Box::pin(ask(client.clone(), instance))))
    }

    pub(super) fn asking(ask: impl Fn(String) -> BoxFuture<'static, Says> + Send + Sync + 'static) -> Self {
        Self { ask: Arc::new(ask), known: Arc::default() }
    }

    /// Of the instance at that address, asked from now on.
    pub(super) fn of(&self, address: &str) -> Arc<Probe> {
        let instance = instance_of(address);
        let mut known = locked(&self.known);
        if let Some(probe) = known.get(instance).and_then(Weak::upgrade) {
            return probe;
        }
        known.retain(|_, probe| probe.strong_count() > 0);
        let probe = Arc::new(Probe::begin(self.ask.clone(), instance.to_owned()));
        known.insert(instance.to_owned(), Arc::downgrade(&probe));
        probe
    }
}

/// An instance that is asked.
pub(super) struct Probe {
    said: watch::Receiver<Option<Says>>,
    _asking: AbortOnDropHandle<()>,
}

impl Probe {
    fn begin(ask: Ask, instance: String) -> Self {
        let (tell, said) = watch::channel(None);
        let asking = tokio::spawn(async move {
            loop {
                let says = Some(ask(instance.clone()).await);
                tell.send_if_modified(|last| {
                    let changed = *last != says;
                    if changed && (last.is_some() || says != Some(Says::Ready)) {
                        tracing::warn!(
                            correlation = "",
                            instance,
                            ?says,
                            "what an instance says of itself changed"
                        );
                    }
                    *last = says;
                    changed
                });
                tokio::time::sleep(EVERY).await;
            }
        });
        Self { said, _asking: AbortOnDropHandle::new(asking) }
    }

    /// What it said last; none before its first answer.
    pub(super) fn says(&self) -> Option<Says> {
        self.said.borrow().clone()
    }
}

/// Scheme, host and port.
fn instance_of(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at + 3);
    let end = address[host..].find('/').map_or(address.len(), |at| host + at);
    &address[..end]
}

/// Who answers anything but that it is not ready, can be called: an older one has no such question.
async fn ask(client: reqwest::Client, instance: String) -> Says {
    match client.get(format!("{instance}/health/ready")).send().await {
        Ok(answer) if answer.status() == reqwest::StatusCode::SERVICE_UNAVAILABLE => Says::NotReady,
        Ok(_) => Says::Ready,
        Err(error) if error.is_timeout() => Says::Nothing("no answer in time".to_owned()),
        Err(error) if error.is_connect() => Says::Nothing("no connection".to_owned()),
        Err(_) => Says::Nothing("no answer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn an_instance_is_asked_once_a_second_however_many_call_it_and_no_more_when_nobody_does() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = asked.clone();
        let probes = Probes::asking(move |instance| {
            locked(&heard).push(instance);
            Box::pin(std::future::ready(Says::Ready))
        });
        let both = (probes.of("http://a:1"), probes.of("http://a:1/told"));
        assert_eq!(both.0.says(), None, "it has said nothing yet");
        tokio::time::sleep(EVERY * 3 - Duration::from_millis(1)).await;
        assert_eq!(*locked(&asked), ["http://a:1"; 3]);
        assert_eq!(both.1.says(), Some(Says::Ready));
        drop(both);
        tokio::time::sleep(EVERY * 3).await;
        assert_eq!(locked(&asked).len(), 3);
    }

    #[test]
    fn an_instance_is_a_listener_whatever_path_it_is_called_at() {
        for (address, instance) in [
            ("http://10.0.0.1:80/shop/told", "http://10.0.0.1:80"),
            ("https://b.example:443", "https://b.example:443"),
            ("http://[::1]:80/", "http://[::1]:80"),
        ] {
            assert_eq!(instance_of(address), instance);
        }
    }
}
