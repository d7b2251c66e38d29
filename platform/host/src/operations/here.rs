//! The operations of this process, over the modules that are in it.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Duration,
};

use async_trait::async_trait;
use banyan_bus::{
    Building, Consumer, Counters, DeadLetter, DeadLetterError, DeadLetters, Decision, ReadModel, Rebuild,
    Rebuilding, Source, TopicView, Topics,
};
use banyan_kernel::Answer;
use banyan_net::call::callees;
use banyan_store::{Store, StoreError};
use tokio::time::{Instant, timeout};
use uuid::Uuid;

use super::{
    About, By, GroupAbout, LetterView, Operations, PoolAbout, Reached, Readiness,
    look::{self, Standing},
    rebuild::said,
    refusals,
};
use crate::Module;

/// A database that takes longer says nothing of its groups: who asks is told the rest.
const LOOK_WITHIN: Duration = Duration::from_secs(1);

/// Which build this is; the revision, where whoever built it said so.
fn version() -> String {
    let revision = option_env!("GIT_REVISION").map(|revision| format!("+{revision}"));
    format!("{}{}", env!("CARGO_PKG_VERSION"), revision.unwrap_or_default())
}

/// This process.
pub struct Here {
    name: &'static str,
    instance: Uuid,
    began: Instant,
    readiness: Arc<Readiness>,
    stores: Vec<Store>,
    /// All that is told here, and heard from elsewhere.
    sources: BTreeMap<&'static str, Arc<dyn Source>>,
    /// Those whose outbox is elsewhere.
    others: Vec<&'static str>,
    consumers: Vec<Arc<dyn Consumer>>,
    read_models: Vec<Arc<dyn ReadModel>>,
    /// What brings events to the carrier: each group with the source it is of.
    relays: Vec<(&'static str, &'static str)>,
    topics: Option<Arc<dyn Topics>>,
    counters: BTreeMap<&'static str, Arc<Counters>>,
}

impl Here {
    /// The process `name`, as member `instance`: these modules, wired, and what they hear from elsewhere.
    #[must_use]
    pub fn new(
        (name, instance): (&'static str, Uuid),
        modules: &[Module],
        others: &[Arc<dyn Source>],
        topics: Option<Arc<dyn Topics>>,
        readiness: Arc<Readiness>,
    ) -> Self {
        let told = modules.iter().flat_map(|module| [&module.source].into_iter().chain(&module.private));
        let relay = |module: &Module| Some((module.relaying.as_ref()?.group, module.source.name()));
        Self {
            name,
            instance,
            began: Instant::now(),
            readiness,
            stores: modules.iter().map(|module| module.store.clone()).collect(),
            sources: others.iter().chain(told).map(|source| (source.name(), source.clone())).collect(),
            others: others.iter().map(|source| source.name()).collect(),
            consumers: modules.iter().flat_map(|module| module.consumers.clone()).collect(),
            read_models: modules.iter().flat_map(|module| module.read_models.clone()).collect(),
            relays: modules.iter().filter_map(relay).collect(),
            topics,
            counters: BTreeMap::new(),
        }
    }

    /// With what their work counts.
    #[must_use]
    pub fn counted(self, counters: &BTreeMap<&'static str, Arc<Counters>>) -> Self {
        Self { counters: counters.clone(), ..self }
    }

    pub(super) fn counters(&self) -> &BTreeMap<&'static str, Arc<Counters>> {
        &self.counters
    }

    pub(super) fn pools(&self) -> Vec<PoolAbout> {
        let pool = |store: &Store| {
            let (open, idle) = (u64::from(store.pool().size()), store.pool().num_idle() as u64);
            PoolAbout { module: store.schema().to_owned(), open, busy: open.saturating_sub(idle) }
        };
        self.stores.iter().map(pool).collect()
    }

    /// What each database says that answers soon.
    pub(super) async fn standing(&self) -> Vec<Standing> {
        let mut all = Vec::new();
        for store in &self.stores {
            match timeout(LOOK_WITHIN, look::standing(store, self.instance)).await {
                Ok(Ok(standing)) => all.push(standing),
                Ok(Err(error)) => {
                    tracing::debug!(%error, schema = store.schema(), "could not look at its groups")
                }
                Err(_) => tracing::debug!(schema = store.schema(), "could not look at its groups in time"),
            }
        }
        all
    }

    /// How far behind each group is, of the slots in hand, as far as that is known.
    pub(super) async fn lags(&self) -> BTreeMap<&'static str, f64> {
        let mut lags = BTreeMap::new();
        let heard = self.consumers.iter().map(|consumer| (consumer.group(), consumer.source()));
        for (group, source) in heard.chain(self.relays.iter().copied()) {
            let lag = timeout(LOOK_WITHIN, self.lag_s(group, source)).await;
            if let Ok(Ok(Some(lag))) = lag {
                lags.insert(group, lag);
            }
        }
        lags
    }

    /// Against the outbox, where that is here; else what its carrier has brought and it has not applied.
    async fn lag_s(&self, group: &str, source: &str) -> Result<Option<f64>, StoreError> {
        let (Some(counters), Some(told)) = (self.counters.get(group), self.sources.get(source)) else {
            return Ok(None);
        };
        let Some(store) = self.stores.first() else { return Ok(None) };
        let now = store.clock().now();
        if !self.others.contains(&told.name()) {
            return look::lag_s(&**told, counters.standing(), now).await.map(Some);
        }
        let waiting = self.topics.as_ref().and_then(|topics| topics.waiting(group));
        let age = |waiting: banyan_bus::Waiting| {
            waiting.oldest.map_or(0.0, |oldest| (now - oldest).as_seconds_f64().max(0.0))
        };
        Ok(waiting.filter(|waiting| waiting.stopped_slots == 0).map(age))
    }

    fn group(
        &self,
        group: &str,
        counters: &Counters,
        standing: &[Standing],
        lag_s: Option<f64>,
    ) -> GroupAbout {
        let of = standing.iter().find(|standing| standing.held.contains_key(group));
        let waiting = self.topics.as_ref().and_then(|topics| topics.waiting(group)).unwrap_or_default();
        let reached = counters.reached();
        GroupAbout {
            applied: counters.applied.load(Relaxed),
            duplicates: counters.duplicates.load(Relaxed),
            skipped: counters.skipped.load(Relaxed),
            gaps: counters.gaps.load(Relaxed),
            poisoned: counters.poisoned.load(Relaxed),
            queued: counters.queued.load(Relaxed),
            pauses: counters.pauses.load(Relaxed),
            paused_slots: counters.paused_slots.load(Relaxed),
            reached: Reached { epoch: reached.epoch, xid: reached.xid, seq: reached.seq },
            held: of.and_then(|standing| standing.held.get(group).copied()).unwrap_or(0),
            stopped_slots: waiting.stopped_slots,
            lag_s,
            parked: of.map(|standing| standing.parked.get(group).copied().unwrap_or(0)),
        }
    }

    fn letters_of(&self, group: &str) -> Option<DeadLetters> {
        let consumer = self.consumers.iter().find(|consumer| consumer.group() == group)?;
        Some(DeadLetters::new(consumer.clone(), self.sources.get(consumer.source())?.clone()))
    }

    fn rebuild_of(&self, model: &str) -> Option<Rebuild> {
        let model = self.read_models.iter().find(|known| known.name() == model)?;
        Some(Rebuild::new(model.clone(), self.sources.get(model.source())?.clone()))
    }
}

#[async_trait]
impl Operations for Here {
    async fn about(&self) -> Answer<About> {
        let (readiness, standing, lags) = tokio::join!(self.readiness.all(), self.standing(), self.lags());
        let group = |(group, counters): (&&'static str, &Arc<Counters>)| {
            let lag_s = lags.get(group).copied();
            ((*group).to_owned(), self.group(group, counters, &standing, lag_s))
        };
        Answer::Done(About {
            name: self.name.to_owned(),
            version: version(),
            instance: self.instance,
            up_for_s: self.began.elapsed().as_secs(),
            readiness,
            groups: self.counters.iter().map(group).collect(),
            slots_held: standing.iter().flat_map(|standing| standing.held.values()).sum(),
            calls: callees(),
            pools: self.pools(),
        })
    }

    async fn letters(&self, group: &str) -> Answer<Vec<LetterView>> {
        let Some(letters) = self.letters_of(group) else { return unknown_group(group) };
        match letters.list().await {
            Ok(letters) => Answer::Done(letters.into_iter().map(view).collect()),
            Err(error) => Answer::Unavailable(error.to_string()),
        }
    }

    async fn replay(&self, group: &str, key: &str, by: &By) -> Answer<u64> {
        let Some(letters) = self.letters_of(group) else { return unknown_group(group) };
        match decision(by) {
            Ok(decision) => decided(letters.replay(key, &decision).await),
            Err(refused) => decided(Err(refused)),
        }
    }

    async fn drop_letter(&self, group: &str, key: &str, place: i64, by: &By) -> Answer<()> {
        let Some(letters) = self.letters_of(group) else { return unknown_group(group) };
        match decision(by) {
            Ok(decision) => decided(letters.drop_letter(key, place, &decision).await),
            Err(refused) => decided(Err(refused)),
        }
    }

    async fn read_models(&self) -> Answer<Vec<String>> {
        Answer::Done(self.read_models.iter().map(|model| model.name().to_owned()).collect())
    }

    async fn begin_rebuild(&self, model: &str) -> Answer<Building> {
        let Some(rebuild) = self.rebuild_of(model) else { return unknown_model() };
        tracing::warn!(model, correlation = "", "a read model begins to be folded anew");
        said(rebuild.begin().await)
    }

    async fn rebuild_step(&self, building: Building, by: &By) -> Answer<Building> {
        let Some(rebuild) = self.rebuild_of(building.model()) else { return unknown_model() };
        match decision(by) {
            Ok(decision) => said(rebuild.step(building, &decision).await),
            Err(refused) => decided(Err(refused)),
        }
    }

    async fn topics(&self) -> Answer<Vec<TopicView>> {
        match &self.topics {
            Some(topics) => topics.look().await.map_or_else(Answer::Unavailable, Answer::Done),
            None => no_topics(),
        }
    }

    async fn recover(&self, source: &str, by: &By) -> Answer<()> {
        let Some(topics) = &self.topics else { return no_topics() };
        tracing::warn!(source, ?by, correlation = "", "a topic is made anew from its outbox");
        match topics.recover(source).await {
            Ok(true) => Answer::Done(()),
            Ok(false) => Answer::rejected(refusals::UNKNOWN_SOURCE, "see GET /admin/topics"),
            Err(why) => Answer::Unavailable(why),
        }
    }

    async fn begin_anew(&self, source: &str, by: &By) -> Answer<Vec<String>> {
        let Some(topics) = &self.topics else { return no_topics() };
        let begun = topics.begin_anew(source).await;
        tracing::warn!(
            source,
            ?by,
            ?begun,
            correlation = "",
            "who hears a topic that was made anew begins anew"
        );
        begun.map_or_else(Answer::Unavailable, Answer::Done)
    }
}

fn view(letter: DeadLetter) -> LetterView {
    LetterView {
        key: letter.key,
        place: letter.place,
        correlation: letter.event.traceparent.correlation(),
        kind: letter.event.kind,
        sequence: letter.event.sequence,
        reason: letter.reason,
        attempts: letter.attempts,
    }
}

fn decision(by: &By) -> Result<Decision, DeadLetterError> {
    Decision::new(&by.who, &by.why)
}

fn decided<T>(done: Result<T, DeadLetterError>) -> Answer<T> {
    match done {
        Ok(done) => Answer::Done(done),
        Err(DeadLetterError::Store(error)) => Answer::Unavailable(error.to_string()),
        Err(error @ DeadLetterError::Decision) => Answer::rejected(refusals::INVALID_BODY, error.to_string()),
        Err(error) => Answer::rejected(refusals::DEAD_LETTER, error.to_string()),
    }
}

fn unknown_group<T>(group: &str) -> Answer<T> {
    let why = format!("there is no group {group}; `banyan dlq list` names them");
    Answer::rejected(refusals::UNKNOWN_GROUP, why)
}

fn unknown_model<T>() -> Answer<T> {
    let why = "there is no such read model; `banyan rebuild` names them";
    Answer::rejected(refusals::UNKNOWN_READ_MODEL, why)
}

fn no_topics<T>() -> Answer<T> {
    let why = "this shop's events are read where they are written: it names no brokers (BANYAN_KAFKA)";
    Answer::rejected(refusals::NO_TOPICS, why)
}
