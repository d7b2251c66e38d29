//! What is asked of topics by hand: what is in them, who serves which slot from where, and their end.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use banyan_store::{Carried, Carrier, Store, StoreError, sqlx};
use rdkafka::{
    admin::{AdminClient, AdminOptions, ResourceSpecifier},
    client::DefaultClientContext,
    consumer::{Consumer, StreamConsumer},
    error::{KafkaError, RDKafkaErrorCode},
};
use uuid::Uuid;

use crate::{Cluster, KafkaFailure, cluster::ASK, partitions::elsewhere, source::consumer};

/// A cluster that takes longer does not answer.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

const STANDING: &str = "select slot, holder, carrier_cluster, carrier_partitions, carrier_offset from slot \
     where group_name = $1 order by slot";

/// A topic as its brokers have it.
#[derive(Clone, Debug)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Of which cluster.
    pub carrier: Carrier,
    /// How long it keeps a record.
    pub retention: Option<Duration>,
    /// Where each partition begins and ends.
    pub partitions: Vec<(i64, i64)>,
}

/// Where a group's slot stands on its carrier, and who serves it.
#[derive(Clone, Debug)]
pub struct Standing {
    /// Which.
    pub slot: usize,
    /// The member that serves it.
    pub holder: Option<Uuid>,
    /// Where it goes on; none when it was served from the outbox itself, or never.
    pub carried: Option<Carried>,
}

impl Standing {
    /// Why it cannot go on from this topic, and the way out.
    #[must_use]
    pub fn elsewhere(&self, topic: &Topic) -> Option<String> {
        elsewhere(u16::try_from(self.slot).unwrap_or(u16::MAX), self.carried, topic.carrier)
    }

    /// How many records wait for it, if it stands on this topic or was never served from any.
    #[must_use]
    pub fn lag(&self, topic: &Topic) -> Option<i64> {
        let (begin, end) = topic.partitions.get(self.slot)?;
        match self.carried {
            None => Some(end - begin),
            Some(carried) if carried.carrier == topic.carrier => Some((end - carried.next_offset).max(0)),
            Some(_) => None,
        }
    }
}

type Row = (i16, Option<Uuid>, Option<String>, Option<i32>, Option<i64>);

/// Where a group's slots stand, whoever holds them.
///
/// # Errors
/// As any statement.
pub async fn standing(store: &Store, group: &str) -> Result<Vec<Standing>, StoreError> {
    let rows: Vec<Row> = sqlx::query_as(STANDING).bind(group).fetch_all(store.pool()).await?;
    let standing = |(slot, holder, cluster, partitions, next_offset): Row| {
        let carrier = cluster.zip(partitions).map(|(cluster, partitions)| Carrier::new(&cluster, partitions));
        let carried = carrier.zip(next_offset).map(|(carrier, next_offset)| Carried { carrier, next_offset });
        Standing { slot: usize::from(slot.unsigned_abs()), holder, carried }
    };
    Ok(rows.into_iter().map(standing).collect())
}

/// Looks after a cluster, by a client of its own: who looks every second makes no new one each time.
pub(crate) struct Watch {
    cluster: Cluster,
    client: Mutex<Option<Arc<AdminClient<DefaultClientContext>>>>,
}

impl Watch {
    pub(crate) fn new(cluster: Cluster) -> Self {
        Self { cluster, client: Mutex::default() }
    }

    /// Whether a broker answers.
    pub(crate) async fn answers(&self) -> Result<(), KafkaFailure> {
        let client = self.client()?;
        let asked = tokio::task::spawn_blocking(move || client.inner().fetch_metadata(None, ANSWERS_WITHIN));
        Ok(asked.await.unwrap_or(Err(KafkaError::Canceled)).map(drop)?)
    }

    fn client(&self) -> Result<Arc<AdminClient<DefaultClientContext>>, KafkaError> {
        let mut known = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = &*known {
            return Ok(client.clone());
        }
        let client: AdminClient<DefaultClientContext> = self.cluster.client().create()?;
        let client = Arc::new(client);
        *known = Some(client.clone());
        Ok(client)
    }
}

impl Cluster {
    /// The source's topic; none where there is none.
    ///
    /// # Errors
    /// When the cluster does not answer.
    pub async fn look(&self, source: &str) -> Result<Option<Topic>, KafkaFailure> {
        let asking = consumer(self, "banyan.topics", "error")?;
        let name = self.topic(source);
        let asked = tokio::task::spawn_blocking(move || described(&asking, name)).await;
        let Some(topic) = asked.unwrap_or(Err(KafkaError::Canceled))? else { return Ok(None) };
        Ok(Some(Topic { retention: self.retention_of(&topic.name).await?, ..topic }))
    }

    async fn retention_of(&self, topic: &str) -> Result<Option<Duration>, KafkaError> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let options = AdminOptions::new().request_timeout(Some(ASK));
        let described = admin.describe_configs([&ResourceSpecifier::Topic(topic)], &options).await?;
        let of_topic = described.into_iter().next().and_then(Result::ok);
        let value = of_topic.as_ref().and_then(|config| config.get("retention.ms")?.value.clone());
        Ok(value.and_then(|text| text.parse().ok()).map(Duration::from_millis))
    }

    /// Deletes the source's topic, if there is one. A relay may make it anew at once.
    ///
    /// # Errors
    /// When the cluster does not do it.
    pub async fn delete(&self, source: &str) -> Result<(), KafkaFailure> {
        let admin: AdminClient<DefaultClientContext> = self.client().create()?;
        let options = AdminOptions::new().request_timeout(Some(ASK)).operation_timeout(Some(ASK));
        let topic = self.topic(source);
        match admin.delete_topics(&[&topic], &options).await?.pop() {
            Some(Err((_, RDKafkaErrorCode::UnknownTopicOrPartition))) | Some(Ok(_)) | None => {}
            Some(Err((_, code))) => return Err(KafkaError::AdminOp(code).into()),
        }
        Ok(())
    }
}

fn described(asking: &StreamConsumer, name: String) -> Result<Option<Topic>, KafkaError> {
    let metadata = asking.fetch_metadata(Some(&name), ASK)?;
    let count = metadata.topics().iter().find(|topic| topic.name() == name);
    let count = count.map_or(0, |topic| topic.partitions().len());
    if count == 0 {
        return Ok(None);
    }
    let cluster = asking.client().fetch_cluster_id(ASK).ok_or(KafkaError::Canceled)?;
    let partitions =
        (0..i32::try_from(count).unwrap_or(i32::MAX)).map(|n| asking.fetch_watermarks(&name, n, ASK));
    let partitions = partitions.collect::<Result<Vec<_>, _>>()?;
    let carrier = Carrier::new(&cluster, i32::try_from(count).unwrap_or(i32::MAX));
    Ok(Some(Topic { name, carrier, retention: None, partitions }))
}
