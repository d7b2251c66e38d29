//! What carries the modules' events: the outboxes themselves, read where they are written; or Kafka, where brokers are named.

use std::sync::Arc;

use async_trait::async_trait;
use banyan_bus::{Bus, Consumer, LocalBus, Source};
use banyan_host::Relaying;
use banyan_store::Store;
use serde::Serialize;
use uuid::Uuid;

use crate::config::KafkaConfig;

/// A carrier, wired.
pub struct Carrier {
    /// What modules tell each other through.
    pub bus: Arc<dyn Bus>,
    /// What brings each source's events there, by the source's name.
    pub relaying: Vec<(&'static str, Relaying)>,
    /// What a person may ask of it and do to it, where it has topics of its own.
    pub topics: Option<Arc<dyn Topics>>,
}

/// All that is told, and by and to whom.
#[cfg_attr(
    not(feature = "kafka"),
    expect(dead_code, reason = "where events are written says to whom they go")
)]
pub struct Told {
    /// Everything that tells something.
    pub sources: Vec<Arc<dyn Source>>,
    /// The stores of those whose events leave their module, by the source's name; of the others they never do.
    pub public: Vec<(&'static str, Store)>,
    /// Everybody who hears something.
    pub consumers: Vec<Arc<dyn Consumer>>,
}

/// The topics of a carrier.
#[async_trait]
pub trait Topics: Send + Sync + 'static {
    /// How each stands.
    async fn look(&self) -> Result<Vec<TopicView>, String>;
    /// Makes a source's topic anew from its outbox; false, where there is no such source.
    async fn recover(&self, source: &str) -> Result<bool, String>;
    /// The same for all: after a restore no topic is what the database says.
    async fn recover_all(&self) -> Result<(), String>;
}

/// A source's topic.
#[derive(Debug, Serialize)]
pub struct TopicView {
    /// Its name.
    pub topic: String,
    /// Who tells.
    pub source: String,
    /// Of which cluster; none, where there is no such topic.
    pub cluster: Option<String>,
    /// How many it has.
    pub partitions: usize,
    /// How many records it has.
    pub records: i64,
    /// How long it keeps a record.
    pub retention_s: Option<u64>,
    /// Who reads it, and the relay that fills it.
    pub groups: Vec<GroupView>,
}

/// A group on its topic.
#[derive(Debug, Serialize)]
pub struct GroupView {
    /// Its name.
    pub group: String,
    /// Records that wait for it; none, where one of its slots does not stand on this topic.
    pub lag: Option<i64>,
    /// Each of its slots.
    pub slots: Vec<SlotView>,
}

/// A slot of a group.
#[derive(Debug, Serialize)]
pub struct SlotView {
    /// Which, and so which partition.
    pub slot: usize,
    /// Who serves it: the instance id of a shop.
    pub owner: Option<Uuid>,
    /// Where it goes on.
    pub next_offset: Option<i64>,
    /// Records that wait for it.
    pub lag: Option<i64>,
    /// Why it is not served, and the way out.
    pub stopped: Option<String>,
}

/// The outboxes themselves.
fn local(told: &Told, instance: Uuid) -> Carrier {
    let bus = Arc::new(LocalBus::new(told.sources.clone(), instance));
    Carrier { bus, relaying: Vec::new(), topics: None }
}

/// As the settings say.
#[cfg(not(feature = "kafka"))]
#[must_use]
pub fn carrier(told: Told, _: Option<&KafkaConfig>, instance: Uuid) -> Carrier {
    local(&told, instance)
}

/// As the settings say.
#[cfg(feature = "kafka")]
#[must_use]
pub fn carrier(told: Told, kafka: Option<&KafkaConfig>, instance: Uuid) -> Carrier {
    match kafka {
        Some(kafka) => on_kafka::carrier(told, kafka, instance),
        None => local(&told, instance),
    }
}

#[cfg(feature = "kafka")]
mod on_kafka {
    use std::collections::{BTreeMap, BTreeSet};

    use banyan_bus::{BusError, Counters};
    use banyan_kafka::{
        Cluster, KafkaBus, KafkaFailure, Relay, Standing, Topic, recover, relay_of, standing,
    };
    use banyan_kernel::Envelope;
    use tokio::sync::broadcast;
    use tokio_util::sync::CancellationToken;

    use super::{
        Arc, Bus, Carrier, Consumer, GroupView, KafkaConfig, LocalBus, Relaying, SlotView, Source, Store,
        Told, TopicView, Topics, Uuid, async_trait,
    };

    pub(super) fn carrier(told: Told, kafka: &KafkaConfig, instance: Uuid) -> Carrier {
        let cluster = Cluster {
            prefix: kafka.prefix.clone(),
            replicas: i32::from(kafka.replicas),
            ..Cluster::new(kafka.brokers.clone())
        };
        let names = told.public.iter().map(|(name, _)| *name).collect();
        let is_public =
            |source: &&Arc<dyn Source>| told.public.iter().any(|(name, _)| *name == source.name());
        let public: Vec<_> = told.sources.iter().filter(is_public).cloned().collect();
        let bus = Arc::new(KafkaBus::new(cluster.clone(), public.clone(), instance));
        let relaying = public.iter().map(|source| {
            let (_, store) =
                told.public.iter().find(|(name, _)| *name == source.name()).expect("it is public");
            (
                source.name(),
                relaying(Relay::new(cluster.clone(), source.clone(), store.clone(), instance), source),
            )
        });
        Carrier {
            relaying: relaying.collect(),
            topics: Some(Arc::new(OnKafka {
                cluster,
                bus: bus.clone(),
                stores: told.public.into_iter().collect(),
                consumers: told.consumers,
            })),
            bus: Arc::new(Divided {
                public: names,
                carried: bus,
                local: Arc::new(LocalBus::new(told.sources, instance)),
            }),
        }
    }

    /// Events that leave their module go one way, those that never do the other.
    struct Divided {
        public: BTreeSet<&'static str>,
        carried: Arc<dyn Bus>,
        local: Arc<dyn Bus>,
    }

    impl Divided {
        fn of(&self, source: &str) -> &Arc<dyn Bus> {
            if self.public.contains(source) { &self.carried } else { &self.local }
        }
    }

    #[async_trait]
    impl Bus for Divided {
        async fn serve(
            &self,
            consumer: Arc<dyn Consumer>,
            counters: Arc<Counters>,
            stop: CancellationToken,
        ) -> Result<(), BusError> {
            self.of(consumer.source()).serve(consumer, counters, stop).await
        }

        async fn broadcast(
            &self,
            source: &str,
            stop: CancellationToken,
        ) -> Result<broadcast::Receiver<Arc<Envelope>>, BusError> {
            self.of(source).broadcast(source, stop).await
        }
    }

    fn relaying(relay: Relay, source: &Arc<dyn Source>) -> Relaying {
        Relaying {
            // A handful of names, as long as the process lives.
            group: relay_of(source.name()).leak(),
            run: Box::new(|counters, stop| Box::pin(async move { relay.run(counters, stop).await })),
        }
    }

    struct OnKafka {
        cluster: Cluster,
        bus: Arc<KafkaBus>,
        stores: BTreeMap<&'static str, Store>,
        consumers: Vec<Arc<dyn Consumer>>,
    }

    impl OnKafka {
        /// Who hears a source, each with its store.
        fn groups(&self, source: &str) -> Vec<(Store, &'static str)> {
            let hear = self.consumers.iter().filter(|consumer| consumer.source() == source);
            hear.map(|consumer| (consumer.store().clone(), consumer.group())).collect()
        }

        async fn view(&self, source: &str, store: &Store) -> Result<TopicView, KafkaFailure> {
            let topic = self.cluster.look(source).await?;
            let mut groups = Vec::new();
            let relay = relay_of(source);
            for (store, group) in [(store.clone(), relay.as_str())].into_iter().chain(self.groups(source)) {
                groups.push(self.group(group, &standing(&store, group).await?, topic.as_ref()));
            }
            Ok(TopicView {
                topic: self.cluster.topic(source),
                source: source.to_owned(),
                cluster: topic.as_ref().map(|topic| topic.carrier.cluster.to_owned()),
                partitions: topic.as_ref().map_or(0, |topic| topic.partitions.len()),
                records: topic
                    .iter()
                    .flat_map(|topic| &topic.partitions)
                    .map(|(begin, end)| end - begin)
                    .sum(),
                retention_s: topic.and_then(|topic| topic.retention).map(|retention| retention.as_secs()),
                groups,
            })
        }

        fn group(&self, group: &str, standing: &[Standing], topic: Option<&Topic>) -> GroupView {
            let stopped = self.bus.stopped();
            let why = |slot: usize| {
                let found =
                    stopped.iter().find(|(name, stopped, _)| name == group && usize::from(*stopped) == slot);
                found.map(|(_, _, why)| why.clone())
            };
            let slot = |at: &Standing| SlotView {
                slot: at.slot,
                owner: at.holder,
                next_offset: at.carried.map(|carried| carried.next_offset),
                lag: topic.and_then(|topic| at.lag(topic)),
                stopped: why(at.slot).or_else(|| at.elsewhere(topic?)),
            };
            let slots: Vec<SlotView> = standing.iter().map(slot).collect();
            GroupView { group: group.to_owned(), lag: slots.iter().map(|slot| slot.lag).sum(), slots }
        }
    }

    #[async_trait]
    impl Topics for OnKafka {
        async fn look(&self) -> Result<Vec<TopicView>, String> {
            let mut all = Vec::new();
            for (source, store) in &self.stores {
                all.push(self.view(source, store).await.map_err(|failure| failure.to_string())?);
            }
            Ok(all)
        }

        async fn recover(&self, source: &str) -> Result<bool, String> {
            let Some(store) = self.stores.get(source) else { return Ok(false) };
            let recovered = recover(&self.cluster, source, store, &self.groups(source)).await;
            recovered.map(|()| true).map_err(|failure| failure.to_string())
        }

        async fn recover_all(&self) -> Result<(), String> {
            for source in self.stores.keys() {
                self.recover(source).await?;
            }
            Ok(())
        }
    }
}
