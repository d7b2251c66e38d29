//! A cluster of brokers: how its clients are made, and the topics on it.

use std::time::Duration;

use banyan_kernel::SLOTS;
use banyan_store::{Carrier, StoreError};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    error::{KafkaError, RDKafkaErrorCode},
};

/// How long a question to the cluster may take.
pub(crate) const ASK: Duration = Duration::from_secs(5);
/// The largest event: payload, key and headers.
pub(crate) const EVENT_BYTES_MAX: usize = 4 << 20;

/// Where the brokers are, and what topics are made with when they are missing.
#[derive(Clone, Debug)]
pub struct Cluster {
    /// Some of the brokers, as `host:port,host:port`.
    pub brokers: String,
    /// What topics begin with: `PREFIX.SOURCE`.
    pub prefix: String,
    /// On so many brokers.
    pub replicas: i32,
    /// How long an event can be read from its topic: at most as long as from the outbox, which is what fills a gap.
    pub retention: Duration,
}

/// Why the cluster cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KafkaFailure {
    /// It does not answer, or not well: the same may succeed later.
    #[error("Kafka cannot do it now: {0}")]
    Unavailable(#[from] KafkaError),
    /// Where positions are kept cannot be reached: the same may succeed later.
    #[error(transparent)]
    Store(StoreError),
    /// A topic that is not as the bus needs it: make it anew and republish from the outbox.
    #[error(
        "topic {topic} has {found} partitions and must have {SLOTS}: delete it, then republish from the outbox \
         (banyan topics recover)"
    )]
    Partitions {
        /// Which.
        topic: String,
        /// How many it has.
        found: usize,
    },
}

impl From<StoreError> for KafkaFailure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<KafkaFailure> for StoreError {
    fn from(failure: KafkaFailure) -> Self {
        match failure {
            KafkaFailure::Store(error) => error,
            failure => Self::Unavailable(failure.to_string()),
        }
    }
}

impl Cluster {
    /// These brokers; topics `banyan.SOURCE` on one broker, kept for seven days.
    #[must_use]
    pub fn new(brokers: impl Into<String>) -> Self {
        let retention = Duration::from_secs(7 * 24 * 3_600);
        Self { brokers: brokers.into(), prefix: "banyan".to_owned(), replicas: 1, retention }
    }

    /// The topic of a source.
    #[must_use]
    pub fn topic(&self, source: &str) -> String {
        format!("{}.{source}", self.prefix)
    }

    /// What every client is made with. A frozen or restarted broker is looked for often.
    pub(crate) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "banyan")
            .set("allow.auto.create.topics", "false")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "500")
            .set("socket.keepalive.enable", "true");
        config
    }

    /// Makes the source's topic if there is none, and tells what its offsets are good for.
    pub(crate) async fn open(&self, source: &str) -> Result<Carrier, KafkaFailure> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let topic = self.topic(source);
        self.make(&admin, &topic).await?;
        let asked = tokio::task::spawn_blocking(move || describe(&admin, &topic));
        asked.await.unwrap_or_else(|_| Err(KafkaError::Canceled.into()))
    }

    async fn make(&self, admin: &AdminClient<DefaultClientContext>, topic: &str) -> Result<(), KafkaError> {
        let (retention, bytes) = (self.retention.as_millis().to_string(), EVENT_BYTES_MAX.to_string());
        let wanted = NewTopic::new(topic, i32::from(SLOTS), TopicReplication::Fixed(self.replicas))
            .set("cleanup.policy", "delete")
            .set("retention.ms", &retention)
            .set("max.message.bytes", &bytes);
        let options = AdminOptions::new().request_timeout(Some(ASK)).operation_timeout(Some(ASK));
        match admin.create_topics([&wanted], &options).await?.pop() {
            Some(Err((_, RDKafkaErrorCode::TopicAlreadyExists))) | Some(Ok(_)) | None => Ok(()),
            Some(Err((_, code))) => Err(KafkaError::AdminOp(code)),
        }
    }
}

fn describe(admin: &AdminClient<DefaultClientContext>, topic: &str) -> Result<Carrier, KafkaFailure> {
    let metadata = admin.inner().fetch_metadata(Some(topic), ASK)?;
    let found = metadata.topics().iter().find(|found| found.name() == topic);
    let found = found.map_or(0, |found| found.partitions().len());
    let unknown = KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownTopicOrPartition);
    match found {
        // Made a moment ago, and not known to this broker yet.
        0 => Err(unknown.into()),
        found if found == usize::from(SLOTS) => {
            let cluster = admin.inner().fetch_cluster_id(ASK).ok_or(unknown)?;
            Ok(Carrier::new(&cluster, i32::from(SLOTS)))
        }
        found => Err(KafkaFailure::Partitions { topic: topic.to_owned(), found }),
    }
}
