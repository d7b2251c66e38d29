//! The bus, carried by Kafka.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use banyan_bus::{
    BROADCAST_BUFFER_EVENTS, Bus, BusError, Consumer, Counters, GroupOptions, PgInbox, Source, Waiting,
    run_group,
};
use banyan_kernel::{Envelope, SLOTS, stable_hash};
use banyan_store::{Carrier, Ownership, OwnershipConfig, StoreError};
use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{Consumer as _, StreamConsumer},
    error::KafkaError,
};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Cluster, KafkaFailure,
    cluster::ASK,
    envelope::decode,
    source::{KafkaSource, Pump, Shared, consumer},
};

/// Between two looks for a cluster that is away.
const AGAIN: Duration = Duration::from_millis(500);

/// Serves consumers from topics. Slots are owned, and positions kept, as on the local bus.
pub struct KafkaBus {
    cluster: Cluster,
    sources: BTreeMap<&'static str, Arc<dyn Source>>,
    instance: Uuid,
    ownership: OwnershipConfig,
    options: GroupOptions,
    reads: Arc<AtomicU64>,
    members: Mutex<Vec<(String, Weak<Shared>)>>,
}

impl KafkaBus {
    /// Carries these sources, whose relays fill the topics; what a topic lost is asked of the source itself. `instance` is
    /// unique among living processes.
    #[must_use]
    pub fn new(cluster: Cluster, sources: impl IntoIterator<Item = Arc<dyn Source>>, instance: Uuid) -> Self {
        let sources = sources.into_iter().map(|source| (source.name(), source)).collect();
        let options = GroupOptions { seed: stable_hash(instance.as_bytes()), ..GroupOptions::default() };
        let (ownership, reads, members) = Default::default();
        Self { cluster, sources, instance, ownership, options, reads, members }
    }

    /// With other limits: of the slots' ownership, and of each group's driver.
    #[must_use]
    pub fn with(mut self, ownership: OwnershipConfig, options: GroupOptions) -> Self {
        (self.ownership, self.options) = (ownership, options);
        self
    }

    /// How often the groups' drivers have asked for events.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.reads.load(Ordering::SeqCst)
    }

    /// How many events are fetched and not applied yet: bounded, however many wait.
    #[must_use]
    pub fn kept_events(&self) -> usize {
        self.members(|_, shared| shared.partitions().kept_events()).into_iter().sum()
    }

    /// Slots in hand that are not served, by group, and why: each names the way out.
    #[must_use]
    pub fn stopped(&self) -> Vec<(String, u16, String)> {
        let of = |group: &str, shared: &Shared| {
            let stopped = shared.partitions().stopped().into_iter();
            stopped.map(|(slot, why)| (group.to_owned(), slot, why)).collect::<Vec<_>>()
        };
        self.members(of).into_iter().flatten().collect()
    }

    /// What was fetched for a group and is not applied; none, where the group is not served here.
    #[must_use]
    pub fn waiting(&self, group: &str) -> Option<Waiting> {
        let of = |name: &str, shared: &Shared| (name == group).then(|| shared.partitions().waiting());
        self.members(of).into_iter().flatten().next_back()
    }

    fn members<T>(&self, f: impl Fn(&str, &Shared) -> T) -> Vec<T> {
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        members.retain(|(_, shared)| shared.strong_count() > 0);
        members.iter().filter_map(|(group, shared)| Some(f(group, &*shared.upgrade()?))).collect()
    }

    fn source(&self, name: &str) -> Result<Arc<dyn Source>, BusError> {
        self.sources.get(name).cloned().ok_or_else(|| BusError::UnknownSource(name.to_owned()))
    }

    /// As soon as the cluster answers; none when `stop` came first.
    async fn open(&self, source: &str, stop: &CancellationToken) -> Option<Carrier> {
        again(stop, source, || self.cluster.open(source)).await
    }

    /// A consumer of all that comes from now on.
    async fn listen(&self, source: &str) -> Result<Arc<StreamConsumer>, KafkaFailure> {
        self.cluster.open(source).await?;
        let topic = self.cluster.topic(source);
        // What was missed while the topic was made anew is missed: caches are bounded in time.
        let consumer = Arc::new(consumer(&self.cluster, "banyan.broadcast", "latest")?);
        let asking = consumer.clone();
        let begun = tokio::task::spawn_blocking(move || from_now_on(&asking, &topic)).await;
        begun.unwrap_or(Err(KafkaError::Canceled))?;
        Ok(consumer)
    }
}

/// Until it succeeds, however long the cluster is away; none when `stop` came first.
async fn again<T, F: Future<Output = Result<T, KafkaFailure>>>(
    stop: &CancellationToken,
    source: &str,
    ask: impl Fn() -> F,
) -> Option<T> {
    loop {
        let failure = tokio::select! {
            biased;
            () = stop.cancelled() => return None,
            asked = ask() => match asked {
                Ok(answer) => return Some(answer),
                Err(failure) => failure,
            },
        };
        tracing::warn!(source, %failure, "cannot read its topic yet");
        tokio::select! {
            () = stop.cancelled() => return None,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

#[async_trait]
impl Bus for KafkaBus {
    async fn serve(
        &self,
        consumer: Arc<dyn Consumer>,
        counters: Arc<Counters>,
        stop: CancellationToken,
    ) -> Result<(), BusError> {
        let (name, group) = (consumer.source(), consumer.group());
        let outbox = self.source(name)?;
        let Some(carrier) = self.open(name, &stop).await else { return Ok(()) };
        let shared = Shared::new(carrier, self.reads.clone());
        let kept = (group.to_owned(), Arc::downgrade(&shared));
        self.members.lock().unwrap_or_else(PoisonError::into_inner).push(kept);
        let pump = Pump::new(&self.cluster, name, group, shared.clone()).map_err(unavailable)?;
        let ownership =
            Ownership::new(Arc::new(consumer.store().clone()), group, self.instance, self.ownership);
        let (held, done) = (ownership.held(), CancellationToken::new());
        let source = Arc::new(KafkaSource::new(outbox, shared));
        // The slots are let go after the last batch, not under it.
        let driver = async {
            let inbox = PgInbox::new(consumer.clone());
            run_group(source, inbox, held.clone(), self.options.clone(), counters, stop).await;
            done.cancel();
        };
        let pumped = async {
            tokio::select! {
                () = pump.run(held.clone()) => {}
                () = done.cancelled() => {}
            }
        };
        tokio::join!(driver, pumped, ownership.run(done.cancelled()));
        Ok(())
    }

    async fn broadcast(
        &self,
        source: &str,
        stop: CancellationToken,
    ) -> Result<broadcast::Receiver<Arc<Envelope>>, BusError> {
        self.source(source)?;
        let stopped = || StoreError::Unavailable("stopped before Kafka said where its topic ends".to_owned());
        let consumer = again(&stop, source, || self.listen(source)).await.ok_or_else(stopped)?;
        let (sender, receiver) = broadcast::channel(BROADCAST_BUFFER_EVENTS);
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = forward(&consumer, &sender) => {}
            }
        });
        Ok(receiver)
    }
}

fn unavailable(error: KafkaError) -> BusError {
    BusError::Store(KafkaFailure::from(error).into())
}

/// All partitions, each from where it ends now. One that was made a moment ago, or whose broker was just replaced, has no leader
/// for a moment: all are asked again then.
fn from_now_on(consumer: &StreamConsumer, topic: &str) -> Result<(), KafkaError> {
    let mut list = TopicPartitionList::new();
    for partition in 0..i32::from(SLOTS) {
        let (_, end) = consumer.fetch_watermarks(topic, partition, ASK)?;
        list.add_partition_offset(topic, partition, Offset::Offset(end))?;
    }
    consumer.assign(&list)
}

/// Until nobody receives any more.
async fn forward(consumer: &StreamConsumer, sender: &broadcast::Sender<Arc<Envelope>>) {
    while sender.receiver_count() > 0 {
        match consumer.recv().await {
            Ok(record) => {
                if let Ok((_, event)) = decode(&record) {
                    // Refused when the last receiver went: the loop ends.
                    let _ = sender.send(Arc::new(event));
                }
            }
            Err(error) => tracing::warn!(%error, "Kafka"),
        }
    }
}
