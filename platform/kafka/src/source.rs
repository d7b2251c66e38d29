//! A source as Kafka brings it: what the driver asks for, and the pump that fetches.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use banyan_bus::Source;
use banyan_kernel::{Envelope, SLOTS, slot_of};
use banyan_store::{Carrier, Held, Page, Position, Signal, StoreError};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{Consumer, StreamConsumer},
    error::{KafkaError, RDKafkaErrorCode},
    message::BorrowedMessage,
};
use tokio::sync::{Notify, watch};

use crate::{
    Cluster,
    cluster::ASK,
    envelope::{decode, decode_mark},
    partitions::{Arrived, Begin, Partitions, RECOVER, Record, Then},
};

/// The source of one group's member.
pub(crate) struct KafkaSource {
    /// The module's own: what fills gaps, and what the other questions are answered by.
    outbox: Arc<dyn Source>,
    shared: Arc<Shared>,
}

/// What the driver and the pump have in common.
pub(crate) struct Shared {
    partitions: Mutex<Partitions>,
    arrived: Signal,
    room: Notify,
    reads: Arc<AtomicU64>,
    malformed: AtomicU64,
}

impl Shared {
    pub fn new(carrier: Carrier, reads: Arc<AtomicU64>) -> Arc<Self> {
        Arc::new(Self {
            partitions: Mutex::new(Partitions::new(carrier)),
            arrived: Signal::default(),
            room: Notify::new(),
            reads,
            malformed: AtomicU64::new(0),
        })
    }

    /// No holder panics or waits.
    pub fn partitions(&self) -> MutexGuard<'_, Partitions> {
        self.partitions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl KafkaSource {
    pub fn new(outbox: Arc<dyn Source>, shared: Arc<Shared>) -> Self {
        Self { outbox, shared }
    }
}

#[async_trait]
impl Source for KafkaSource {
    fn name(&self) -> &'static str {
        self.outbox.name()
    }

    async fn page(&self, after: Position, slots: &[u16], limit: u16) -> Result<Page, StoreError> {
        self.outbox.page(after, slots, limit).await
    }

    async fn next(&self, held: &[Held], limit: u16) -> Result<Page, StoreError> {
        self.shared.reads.fetch_add(1, Ordering::SeqCst);
        let (events, has_room) = self.shared.partitions().next(held, usize::from(limit));
        if has_room {
            self.shared.room.notify_one();
        }
        Ok(Page { events, end: Position::START })
    }

    fn is_apart(&self) -> bool {
        true
    }

    fn passed(&self, held: &[Held]) -> Vec<Held> {
        self.shared.partitions().passed(held)
    }

    async fn end(&self) -> Result<Position, StoreError> {
        self.outbox.end().await
    }

    async fn of_subject(&self, subject: &str, after_sequence: i64) -> Result<Vec<Envelope>, StoreError> {
        self.outbox.of_subject(subject, after_sequence).await
    }

    fn signal(&self) -> Signal {
        self.shared.arrived.clone()
    }
}

/// Reads the partitions of the slots in hand into their buffers. It is no member of a Kafka group: it assigns itself what is
/// held, and every assignment names its offset.
pub(crate) struct Pump {
    consumer: Arc<StreamConsumer>,
    source: String,
    topic: String,
    /// Connections were lost: the brokers behind the address may be others by now.
    is_suspect: AtomicBool,
    group: String,
    shared: Arc<Shared>,
}

impl Pump {
    pub fn new(
        cluster: &Cluster,
        source: &str,
        group: &str,
        shared: Arc<Shared>,
    ) -> Result<Self, KafkaError> {
        let consumer = Arc::new(consumer(cluster, group, "error")?);
        let (source, topic, group) = (source.to_owned(), cluster.topic(source), group.to_owned());
        Ok(Self { consumer, source, topic, is_suspect: AtomicBool::new(false), group, shared })
    }

    /// Until nobody owns slots any more.
    pub async fn run(self, mut held: watch::Receiver<BTreeMap<u16, Held>>) {
        loop {
            let now = held.borrow_and_update().clone();
            self.hold(&now);
            loop {
                tokio::select! {
                    biased;
                    changed = held.changed() => match changed {
                        Ok(()) => break,
                        Err(_) => return,
                    },
                    () = self.shared.room.notified() => self.resume(),
                    came = self.consumer.recv() => match came {
                        Ok(record) => self.arrive(&record),
                        Err(error) => self.fail(error).await,
                    },
                }
            }
        }
    }

    /// What is lost goes first: what was fetched under another epoch is not taken for this one's.
    fn hold(&self, held: &BTreeMap<u16, Held>) {
        self.notice_another();
        let (gone, begins, stopped) = {
            let mut partitions = self.shared.partitions();
            let gone = partitions.let_go(held);
            let known = partitions.stopped();
            let begins = partitions.take_up(held);
            let mut stopped = partitions.stopped();
            stopped.retain(|stopped| !known.contains(stopped));
            (gone, begins, stopped)
        };
        self.complain(&stopped);
        self.unassign(gone);
        self.assign(begins);
    }

    fn complain(&self, stopped: &[(u16, String)]) {
        for (slot, why) in stopped {
            tracing::error!(group = self.group, topic = self.topic, slot, why, "a slot is stopped");
        }
    }

    /// Whether the brokers are another cluster's than those whose offsets are kept: then what is being read stops.
    fn notice_another(&self) -> bool {
        let Some(found) = self.consumer.client().fetch_cluster_id(Duration::ZERO) else { return false };
        let (stopped, known) = {
            let mut partitions = self.shared.partitions();
            if partitions.carrier().cluster == found {
                return false;
            }
            let known = partitions.stopped();
            partitions.moved_to(Carrier::new(&found, i32::from(SLOTS)));
            (partitions.stopped(), known)
        };
        let new: Vec<_> = stopped.into_iter().filter(|stopped| !known.contains(stopped)).collect();
        self.complain(&new);
        self.unassign(new.iter().map(|(slot, _)| *slot));
        true
    }

    fn list(&self, slots: impl IntoIterator<Item = (u16, Offset)>) -> TopicPartitionList {
        let mut list = TopicPartitionList::new();
        for (slot, offset) in slots {
            list.add_partition_offset(&self.topic, i32::from(slot), offset)
                .expect("an offset that can be assigned");
        }
        list
    }

    /// Of those that are assigned: one that stopped is not.
    fn unassign(&self, slots: impl IntoIterator<Item = u16>) {
        let assigned =
            self.consumer.assignment().map(|assigned| partitions_of(&assigned)).unwrap_or_default();
        let slots = slots.into_iter().filter(|slot| assigned.contains(slot));
        let list = self.list(slots.map(|slot| (slot, Offset::Invalid)));
        if list.count() > 0 {
            self.tell("unassign", self.consumer.incremental_unassign(&list));
        }
    }

    fn assign(&self, begins: Vec<(u16, Begin)>) {
        let offset = |begin| match begin {
            Begin::At(offset) => Offset::Offset(offset),
            Begin::Oldest => Offset::Beginning,
        };
        let list = self.list(begins.into_iter().map(|(slot, begin)| (slot, offset(begin))));
        if list.count() > 0 {
            self.tell("assign", self.consumer.incremental_assign(&list));
        }
    }

    fn read_anew(&self, slot: u16, begin: Begin) {
        self.unassign([slot]);
        self.assign(vec![(slot, begin)]);
    }

    fn tell(&self, what: &str, done: Result<(), KafkaError>) {
        if let Err(error) = done {
            tracing::error!(group = self.group, %error, what, "the Kafka client refused");
        }
    }

    fn resume(&self) {
        let roomy = self.shared.partitions().roomy();
        let list = self.list(roomy.into_iter().map(|slot| (slot, Offset::Invalid)));
        self.tell("resume", self.consumer.resume(&list));
    }

    fn arrive(&self, record: &BorrowedMessage<'_>) {
        let (Ok(slot), offset) = (u16::try_from(record.partition()), record.offset()) else { return };
        if self.is_suspect.swap(false, Ordering::Relaxed) && self.notice_another() {
            return;
        }
        let event = self.read(slot, record);
        let then = self.shared.partitions().arrive(slot, offset, event);
        self.shared.arrived.raise();
        match then {
            Then::GoOn => {}
            Then::Pause => {
                let full = self.list([(slot, Offset::Invalid)]);
                self.tell("pause", self.consumer.pause(&full));
            }
            Then::Stop(why) => self.stop(slot, &why),
        }
    }

    /// What is no event of this source in its own partition is passed over: what it may stand for is missed by its sequence.
    fn read(&self, slot: u16, record: &BorrowedMessage<'_>) -> Record {
        if let Some(at) = decode_mark(record) {
            return Record::Mark(at);
        }
        let why = match decode(record) {
            Ok((_, event)) if event.source != self.source => {
                format!("it says that it is of {}", event.source)
            }
            Ok((_, event)) if slot_of(&event.subject) != slot => "it is in another's partition".to_owned(),
            Ok((position, event)) => {
                let bytes = record.payload_len() + record.key_len();
                return Record::Event(Arrived { offset: record.offset(), position, event, bytes });
            }
            Err(malformed) => malformed.to_string(),
        };
        self.shared.malformed.fetch_add(1, Ordering::Relaxed);
        tracing::error!(topic = self.topic, slot, offset = record.offset(), why, "a record was passed over");
        Record::Other
    }

    fn stop(&self, slot: u16, why: &str) {
        tracing::error!(group = self.group, topic = self.topic, slot, why, "a slot is stopped");
        self.shared.partitions().stop(slot, why);
        self.unassign([slot]);
    }

    async fn fail(&self, error: KafkaError) {
        self.is_suspect.store(true, Ordering::Relaxed);
        if self.notice_another() {
            return;
        }
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AutoOffsetReset) {
            return self.out_of_range().await;
        }
        // Connections come again by themselves.
        tracing::warn!(group = self.group, topic = self.topic, %error, "Kafka");
    }

    /// The client does not say which partition it is: each is looked at. Those whose records are there are assigned anew, and so are
    /// those that were to begin with the oldest one: their topic was being made.
    async fn out_of_range(&self) {
        tokio::time::sleep(AGAIN).await;
        let reading = self.shared.partitions().reading();
        for (slot, begin) in reading {
            let Begin::At(offset) = begin else {
                self.read_anew(slot, begin);
                continue;
            };
            let (consumer, topic) = (self.consumer.clone(), self.topic.clone());
            let ask = move || consumer.fetch_watermarks(&topic, i32::from(slot), ASK);
            let asked = tokio::task::spawn_blocking(ask).await;
            match asked.unwrap_or(Err(KafkaError::Canceled)) {
                Ok((low, high)) if (low..=high).contains(&offset) => self.read_anew(slot, begin),
                Ok((low, high)) => {
                    let here = self.shared.partitions().carrier();
                    self.stop(slot, &format!("offset {offset} is not in {low}..{high} of {here}: {RECOVER}"));
                }
                Err(error) => {
                    tracing::warn!(topic = self.topic, slot, %error, "Kafka does not say what it has")
                }
            }
        }
    }
}

/// Before partitions are assigned again that could not be read.
const AGAIN: Duration = Duration::from_millis(100);

fn partitions_of(list: &TopicPartitionList) -> Vec<u16> {
    list.elements().iter().filter_map(|element| u16::try_from(element.partition()).ok()).collect()
}

/// A consumer that commits nothing to Kafka and holds little.
pub(crate) fn consumer(cluster: &Cluster, group: &str, reset: &str) -> Result<StreamConsumer, KafkaError> {
    cluster
        .client()
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("auto.offset.reset", reset)
        .set("queued.min.messages", "1000")
        .set("queued.max.messages.kbytes", "2048")
        .set("fetch.queue.backoff.ms", "10")
        .set("fetch.wait.max.ms", "100")
        .create()
}
