//! Kafka as a process's carrier: what leaves its module goes by topics, what never does is read where it is written.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use async_trait::async_trait;
use banyan_bus::{
    Brokers, Bus, BusError, Carriage, Consumer, Counters, GroupView, LocalBus, Relaying, SlotView, Source,
    Told, TopicView, Topics, Waiting,
};
use banyan_kernel::Envelope;
use banyan_store::Store;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    Cluster, KafkaBus, KafkaFailure, Relay, Standing, Topic, begin_anew, recover, relay_of, standing,
    topics::Watch,
};

/// Wires it, as member `instance`.
#[must_use]
pub fn carriage(told: Told, brokers: &Brokers, instance: Uuid) -> Carriage {
    let cluster = Cluster {
        prefix: brokers.prefix.clone(),
        replicas: i32::from(brokers.replicas),
        ..Cluster::new(brokers.addresses.clone())
    };
    let own = told.own.iter().map(|(source, _)| source);
    let public: Vec<Arc<dyn Source>> = own.chain(&told.others).cloned().collect();
    let bus = Arc::new(KafkaBus::new(cluster.clone(), public.clone(), instance));
    let relaying = told.own.iter().map(|(source, store)| {
        let relay = Relay::new(cluster.clone(), source.clone(), store.clone(), instance);
        (source.name(), relaying(relay, source))
    });
    Carriage {
        relaying: relaying.collect(),
        bus: Arc::new(Divided {
            public: public.iter().map(|source| source.name()).collect(),
            carried: bus.clone(),
            local: Arc::new(LocalBus::new(told.private, instance)),
        }),
        topics: Some(Arc::new(OnKafka {
            watch: Watch::new(cluster.clone()),
            cluster,
            bus,
            sources: public.iter().map(|source| source.name()).collect(),
            stores: told.own.into_iter().map(|(source, store)| (source.name(), store)).collect(),
            consumers: told.consumers,
        })),
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
    watch: Watch,
    bus: Arc<KafkaBus>,
    sources: Vec<&'static str>,
    /// Of those whose outbox is here.
    stores: BTreeMap<&'static str, Store>,
    consumers: Vec<Arc<dyn Consumer>>,
}

impl OnKafka {
    /// Who hears a source, each with its store.
    fn groups(&self, source: &str) -> Vec<(Store, &'static str)> {
        let hear = self.consumers.iter().filter(|consumer| consumer.source() == source);
        hear.map(|consumer| (consumer.store().clone(), consumer.group())).collect()
    }

    /// As far as it is known here: who else reads it, and what fills it, its own process tells.
    async fn view(&self, source: &str) -> Result<TopicView, KafkaFailure> {
        let topic = self.cluster.look(source).await?;
        let mut groups = Vec::new();
        let relay = relay_of(source);
        let relayed = self.stores.get(source).map(|store| (store.clone(), relay.as_str()));
        for (store, group) in relayed.into_iter().chain(self.groups(source)) {
            groups.push(self.group(group, &standing(&store, group).await?, topic.as_ref()));
        }
        Ok(TopicView {
            topic: self.cluster.topic(source),
            source: source.to_owned(),
            cluster: topic.as_ref().map(|topic| topic.carrier.cluster.to_owned()),
            partitions: topic.as_ref().map_or(0, |topic| topic.partitions.len()),
            records: topic.iter().flat_map(|topic| &topic.partitions).map(|(begin, end)| end - begin).sum(),
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
        for source in &self.sources {
            all.push(self.view(source).await.map_err(|failure| failure.to_string())?);
        }
        Ok(all)
    }

    async fn answers(&self) -> Result<(), String> {
        self.watch.answers().await.map_err(|failure| failure.to_string())
    }

    fn waiting(&self, group: &str) -> Option<Waiting> {
        self.bus.waiting(group)
    }

    async fn recover(&self, source: &str) -> Result<bool, String> {
        let Some(store) = self.stores.get(source) else { return Ok(false) };
        let recovered = recover(&self.cluster, source, store, &self.groups(source)).await;
        recovered.map(|()| true).map_err(|failure| failure.to_string())
    }

    async fn begin_anew(&self, source: &str) -> Result<Vec<String>, String> {
        let groups = self.groups(source);
        for (store, group) in &groups {
            begin_anew(store, group).await.map_err(|error| error.to_string())?;
        }
        Ok(groups.into_iter().map(|(_, group)| group.to_owned()).collect())
    }

    async fn recover_all(&self) -> Result<(), String> {
        for source in self.stores.keys() {
            self.recover(source).await?;
        }
        Ok(())
    }
}
