//! From a module's outbox to its topic: a consumer group whose effect is publishing.
//!
//! A batch is published in order by an idempotent producer, and when all of it is acknowledged the slots' positions are
//! written under their epochs. What dies in between, or is taken over, publishes again: that makes duplicates, which
//! consumers tell by their place in the outbox, and nothing else. Each run begins after a position up to which everything is in the topic
//! and goes on without a hole, so an event's *first* record never comes before that of an earlier event of its slot.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use banyan_bus::{
    Batch, Counters, GroupOptions, Inbox, Letter, Outcome, Refused, Source, move_slots, run_group, settle,
};
use banyan_kernel::{Envelope, slot_of, stable_hash};
use banyan_store::{Carried, Carrier, Held, Locks, Ownership, OwnershipConfig, Place, Position, Store};
use futures::future::join_all;
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Cluster, KafkaFailure,
    cluster::EVENT_BYTES_MAX,
    envelope::{encode, encode_mark},
    partitions::elsewhere,
};

/// What a header costs beside its text, and a record beside its parts: more than it does.
const OVERHEAD_BYTES: usize = 1_024;

/// The group that a source's relays are members of.
#[must_use]
pub fn relay_of(source: &str) -> String {
    format!("{source}.relay")
}

/// One source's relay.
pub struct Relay {
    cluster: Cluster,
    source: Arc<dyn Source>,
    store: Store,
    instance: Uuid,
    ownership: OwnershipConfig,
    options: GroupOptions,
}

impl Relay {
    /// Of `source`, the outbox of the module that `store` belongs to; its positions are kept there, under the group
    /// `SOURCE.relay`. `instance` is unique among living processes.
    #[must_use]
    pub fn new(cluster: Cluster, source: Arc<dyn Source>, store: Store, instance: Uuid) -> Self {
        let options = GroupOptions { seed: stable_hash(instance.as_bytes()), ..GroupOptions::default() };
        Self { cluster, source, store, instance, ownership: OwnershipConfig::default(), options }
    }

    /// With other limits.
    #[must_use]
    pub fn with(mut self, ownership: OwnershipConfig, options: GroupOptions) -> Self {
        (self.ownership, self.options) = (ownership, options);
        self
    }

    /// Publishes what is told, as one member of the relay's group, until `stop`.
    pub async fn run(&self, counters: Arc<Counters>, stop: CancellationToken) {
        let group = relay_of(self.source.name());
        let table = Arc::new(self.store.clone());
        let ownership = Ownership::new(table, group.clone(), self.instance, self.ownership);
        let (held, done) = (ownership.held(), CancellationToken::new());
        let inbox = KafkaInbox {
            group,
            source: self.source.name(),
            store: self.store.clone(),
            cluster: self.cluster.clone(),
            stop: stop.clone(),
            publisher: Mutex::default(),
            is_unmarked: AtomicBool::new(false),
            written: Mutex::default(),
        };
        let driver = async {
            run_group(self.source.clone(), inbox, held, self.options.clone(), counters, stop).await;
            done.cancel();
        };
        tokio::join!(driver, ownership.run(done.cancelled()));
    }
}

/// The relay's effects: records in the topic; its positions: in the module's own schema.
struct KafkaInbox {
    group: String,
    source: &'static str,
    store: Store,
    cluster: Cluster,
    stop: CancellationToken,
    publisher: Mutex<Option<Publisher>>,
    /// Something was published since the last marks.
    is_unmarked: AtomicBool,
    /// Where each slot's partition stood when its position was written last, by this process, and under which epoch.
    written: Mutex<BTreeMap<u16, (i64, Carried)>>,
}

#[derive(Clone)]
struct Publisher {
    producer: FutureProducer,
    carrier: Carrier,
    topic: String,
}

impl Publisher {
    async fn open(cluster: &Cluster, source: &str) -> Result<Self, KafkaFailure> {
        let carrier = cluster.open(source).await?;
        let producer = cluster
            .client()
            // It warns of a guarantee that is asked for on purpose; what fails is told by the relay.
            .set("log_level", "3")
            .set("acks", "all")
            .set("enable.idempotence", "true")
            // What follows a record that failed for good fails too: no record overtakes an earlier one.
            .set("enable.gapless.guarantee", "true")
            // Never: a record that is given up while the next one is sent would be overtaken.
            .set("message.timeout.ms", "0")
            // The topic is there before the first record; one that is gone is a failure, and the next producer makes it anew.
            .set("topic.metadata.propagation.max.ms", "5000")
            .set("linger.ms", "0")
            .set("message.max.bytes", EVENT_BYTES_MAX.to_string())
            .set("queue.buffering.max.messages", "10000")
            .create()?;
        Ok(Self { producer, carrier, topic: cluster.topic(source) })
    }

    /// A batch's events; of one without events, marks.
    async fn publish_all(&self, batch: &Batch) -> Result<BTreeMap<u16, i64>, KafkaFailure> {
        if batch.events.is_empty() {
            self.mark(&batch.slots).await
        } else {
            self.publish(&batch.events).await
        }
    }

    /// All of them in order, or the first failure.
    async fn publish(&self, events: &[(Place, Envelope)]) -> Result<BTreeMap<u16, i64>, KafkaFailure> {
        let mut sent = Vec::with_capacity(events.len());
        for (at, event) in events {
            let (headers, data) = encode(at.position, event);
            let partition = i32::from(slot_of(&event.subject));
            let record = FutureRecord::to(&self.topic).partition(partition).key(&event.subject);
            let record = record.payload(&data).headers(headers);
            sent.push(self.producer.send_result(record).map_err(|(error, _)| error)?);
        }
        acknowledged(sent).await
    }

    /// Says in these slots' partitions that all of theirs up to where they stand is there.
    async fn mark(&self, slots: &[Held]) -> Result<BTreeMap<u16, i64>, KafkaFailure> {
        let mut sent = Vec::with_capacity(slots.len());
        for held in slots {
            let record = FutureRecord::<(), ()>::to(&self.topic).partition(i32::from(held.slot));
            let record = record.headers(encode_mark(held.position));
            sent.push(self.producer.send_result(record).map_err(|(error, _)| error)?);
        }
        acknowledged(sent).await
    }

    /// The brokers behind the address may be others by now, which never had what was published before.
    fn is_still_there(&self) -> bool {
        self.producer.client().fetch_cluster_id(std::time::Duration::ZERO).as_deref()
            == Some(self.carrier.cluster)
    }
}

/// Where each partition stands after all of these, or the first failure.
async fn acknowledged(sent: Vec<DeliveryFuture>) -> Result<BTreeMap<u16, i64>, KafkaFailure> {
    let mut next = BTreeMap::new();
    for acknowledged in join_all(sent).await {
        let canceled = |_| rdkafka::error::KafkaError::Canceled;
        let delivery = acknowledged.map_err(canceled)?.map_err(|(error, _)| error)?;
        next.insert(u16::try_from(delivery.partition).unwrap_or_default(), delivery.offset + 1);
    }
    Ok(next)
}

impl KafkaInbox {
    async fn publisher(&self) -> Result<Publisher, KafkaFailure> {
        let known = self.publisher.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(publisher) = known {
            return Ok(publisher);
        }
        let publisher = Publisher::open(&self.cluster, self.source).await?;
        *self.publisher.lock().unwrap_or_else(PoisonError::into_inner) = Some(publisher.clone());
        Ok(publisher)
    }

    /// Where the slot's partition stood, by its row: the source knows nothing of it.
    fn known(&self, held: &Held) -> Option<Carried> {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let (_, carried) = written.get(&held.slot).filter(|(epoch, _)| *epoch == held.epoch).copied().unzip();
        carried.or(held.carried)
    }

    /// What it still holds is given up with it; the next one begins anew from the positions.
    fn give_up(&self) {
        let publisher = self.publisher.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It waits for its threads.
        drop(tokio::task::spawn_blocking(move || drop(publisher)));
    }

    async fn published(&self, batch: &Batch) -> Result<(Carrier, BTreeMap<u16, i64>), Refused> {
        let later = |failure: KafkaFailure| Refused::Later(failure.to_string());
        let publisher = self.publisher().await.map_err(later)?;
        if let Some(why) =
            batch.slots.iter().find_map(|held| elsewhere(held.slot, self.known(held), publisher.carrier))
        {
            // Kept where it is the slot that stands elsewhere: until somebody does something about it the same is found again and again.
            if !publisher.is_still_there() {
                self.give_up();
            }
            return Err(Refused::Later(why));
        }
        let published = tokio::select! {
            published = publisher.publish_all(batch) => published.map_err(later),
            () = self.stop.cancelled() => Err(Refused::Later("stopped while it was published".to_owned())),
        };
        let gone = published.is_ok() && !publisher.is_still_there();
        let published =
            if gone { Err(Refused::Later("the cluster is another one".to_owned())) } else { published };
        if published.is_err() {
            self.give_up();
        }
        Ok((publisher.carrier, published?))
    }
}

#[async_trait]
impl Inbox for KafkaInbox {
    fn group(&self) -> &str {
        &self.group
    }

    async fn apply(&self, batch: &Batch) -> Result<Vec<Outcome>, Refused> {
        if let Some((_, event)) = batch.events.iter().find(|(_, event)| is_too_large(event)) {
            return Err(Refused::Failed(format!(
                "event {} is larger than {EVENT_BYTES_MAX} bytes",
                event.id
            )));
        }
        let outcomes = vec![Outcome::Done; batch.events.len()];
        let mut moved = settle(batch, &outcomes);
        let is_idle = batch.events.is_empty();
        // The horizon goes on where nothing is told as well. A stop waits for no mark.
        if is_idle && (self.stop.is_cancelled() || !self.is_unmarked.load(Ordering::Relaxed)) {
            // Where an idle slot stands says nothing of the topic: what its row says of it stays.
            moved.iter_mut().for_each(|held| held.carried = self.known(held));
        } else {
            let (carrier, next) = self.published(batch).await?;
            self.is_unmarked.store(!is_idle, Ordering::Relaxed);
            for held in &mut moved {
                let next_offset = next.get(&held.slot).copied().unwrap_or_default();
                held.carried = Some(Carried { carrier, next_offset });
            }
        }
        let mut write = self.store.begin(&Locks::none()).await?;
        move_slots(&mut write, &self.group, &moved).await?;
        write.commit().await?;
        let written = moved.iter().filter_map(|held| Some((held.slot, (held.epoch, held.carried?))));
        self.written.lock().unwrap_or_else(PoisonError::into_inner).extend(written);
        Ok(outcomes)
    }

    /// No event of its own can end the relay: nothing is counted.
    async fn attempt(&self, _: &Held, _: Position) -> Result<u32, Refused> {
        Ok(1)
    }

    async fn excuse(&self, _: &Held, _: Position) -> Result<(), Refused> {
        Ok(())
    }

    /// What cannot be published holds its slot: passed over it would be lost to everybody.
    async fn park(&self, _: &Held, letter: &Letter) -> Result<(), Refused> {
        Err(Refused::Later(format!("{}; its slot waits", letter.reason)))
    }
}

fn is_too_large(event: &Envelope) -> bool {
    let texts = [&event.kind, &event.source, &event.causation, &event.actor, &event.subject, &event.subject];
    let texts: usize = texts.iter().map(|text| text.len()).sum();
    // The data's size is not known before it is written down; most are far below.
    let data = serde_json::to_vec(&event.data).map_or(usize::MAX, |data| data.len());
    data.saturating_add(texts).saturating_add(OVERHEAD_BYTES) > EVENT_BYTES_MAX
}
