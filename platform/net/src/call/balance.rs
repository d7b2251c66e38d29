//! Which instance is asked.
//!
//! Load is measured by tower's peak EWMA, the choice is ours: tower's balancer knows the less loaded of two alone, and takes an
//! instance away for good when it fails, where an ejected one of ours comes back when its breaker closes.

use std::{
    sync::{
        Arc, Mutex, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use banyan_kernel::stable_hash;
use serde::{Deserialize, Serialize};
use tower::{
    Service,
    load::{CompleteOnResponse, Load, PeakEwma},
};
use utoipa::ToSchema;

use super::{
    Answering, Call, CallError, Layered, Registry, Reply, Room,
    guard::Guard,
    limit::Gate,
    locked,
    probe::{Probe, Says},
    registry::Addresses,
};

/// What an answer takes before the first came.
const FIRST_GUESS: Duration = Duration::from_millis(30);
/// A peak is forgotten in about this time.
const DECAY_NS: f64 = 10e9;

/// An instance of a callee, as it is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InstanceView {
    /// Where it is.
    pub address: String,
    /// Whether it is asked.
    pub breaker: BreakerView,
    /// How many calls may be under way.
    pub limit: u32,
    /// How many are.
    pub under_way: u32,
    /// What it says of itself; none, where nobody asks it, or it has not answered yet.
    pub says: Option<Says>,
}

/// Whether an instance is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BreakerView {
    /// It is.
    Closed,
    /// It has not answered for a while, and is asked now and then.
    Open,
}

/// How an instance is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// Of two that are drawn, the one with less waiting at it, weighed by how long it takes ("The Power of Two Choices in Randomized
    /// Load Balancing", M. Mitzenmacher, 1996; peak EWMA as in Finagle).
    LessLoaded,
    /// One after another.
    InTurn,
    /// What has the same key ([`Call::sticky`]) goes to the same one, and to another only while that is ejected or gone
    /// ("A Name-Based Mapping Scheme for Rendezvous", D. Thaler, C. Ravishankar, 1996).
    ByKey,
}

/// One instance: the layers below the balancer, and what is known of it.
pub(super) struct Member {
    address: String,
    service: Mutex<PeakEwma<Layered>>,
    guard: Guard,
    gate: Gate,
    probe: Option<Arc<Probe>>,
}

impl Member {
    pub(super) fn new(
        address: &str,
        service: Layered,
        (guard, gate, probe): (Guard, Gate, Option<Arc<Probe>>),
    ) -> Self {
        let service = PeakEwma::new(service, FIRST_GUESS, DECAY_NS, CompleteOnResponse::default());
        Self { address: address.to_owned(), service: Mutex::new(service), guard, gate, probe }
    }

    fn look(&self) -> InstanceView {
        let (limit, under_way) = self.gate.look();
        let breaker = match self.guard.room() {
            Room::Free => BreakerView::Closed,
            Room::Probe | Room::Shut => BreakerView::Open,
        };
        InstanceView { address: self.address.clone(), breaker, limit, under_way, says: self.says() }
    }

    fn says(&self) -> Option<Says> {
        self.probe.as_ref().and_then(|probe| probe.says())
    }
}

type Make = Arc<dyn Fn(&str) -> Member + Send + Sync>;
type Members = Arc<[Arc<Member>]>;

/// All instances of a callee, as the registry has them now.
#[derive(Clone)]
pub(super) struct Instances(Arc<Shared>);

struct Shared {
    registry: Registry,
    choice: Choice,
    make: Make,
    /// Of which list they were made.
    members: Mutex<(Option<Addresses>, Members)>,
    turn: AtomicU64,
}

/// A callee's instances, for who looks at them: as long as it is called.
#[derive(Clone)]
pub struct Looked(Weak<Shared>);

impl Looked {
    /// As they are called now; none, where nobody calls it any more.
    #[must_use]
    pub fn now(&self) -> Option<Vec<InstanceView>> {
        let instances = Instances(self.0.upgrade()?);
        Some(instances.now().iter().map(|member| member.look()).collect())
    }

    pub(super) fn is_called(&self) -> bool {
        self.0.strong_count() > 0
    }
}

impl Instances {
    pub(super) fn looked(&self) -> Looked {
        Looked(Arc::downgrade(&self.0))
    }

    pub(super) fn new(registry: Registry, choice: Choice, make: Make) -> Self {
        let members = Mutex::new((None, Members::from([])));
        Self(Arc::new(Shared { registry, choice, make, members, turn: AtomicU64::default() }))
    }

    /// Who is there stays as it is, with what is known of it.
    fn now(&self) -> Members {
        let addresses = self.0.registry.addresses.borrow().clone();
        let mut members = locked(&self.0.members);
        if members.0.as_ref().is_none_or(|seen| !Arc::ptr_eq(seen, &addresses)) {
            let known = members.1.clone();
            let member = |address: &String| {
                let same = known.iter().find(|member| member.address == *address);
                same.cloned().unwrap_or_else(|| Arc::new((self.0.make)(address)))
            };
            *members = (Some(addresses.clone()), addresses.iter().map(member).collect());
        }
        members.1.clone()
    }

    /// How many calls would be let through now, by whoever lets most through.
    pub(super) fn room(&self) -> Room {
        let rooms: Vec<Room> = self.now().iter().map(|member| member.guard.room()).collect();
        let has = |room: Room| rooms.contains(&room);
        [Room::Free, Room::Probe].into_iter().find(|room| has(*room)).unwrap_or(Room::Shut)
    }

    fn choose(&self, call: &Call) -> Option<Arc<Member>> {
        let members = self.now();
        let left = ready(not_ejected(&members));
        let turn = self.0.turn.fetch_add(1, Ordering::Relaxed);
        match (self.0.choice, &call.sticky) {
            (Choice::InTurn, _) => (!left.is_empty()).then(|| left[turn as usize % left.len()].clone()),
            (Choice::ByKey, Some(key)) => left.into_iter().max_by_key(|member| weight(key, &member.address)),
            _ => less_loaded(&left, stable_hash(format!("{} {turn}", call.trace).as_bytes())),
        }
    }
}

/// Those whose breaker lets calls through; and of the others as many as it takes to leave half, so that those that are left are not
/// asked for everything: what goes to the others is refused by their breakers.
fn not_ejected(members: &Members) -> Vec<Arc<Member>> {
    let mut may_go = members.len() / 2;
    let stays = |member: &&Arc<Member>| {
        let goes = may_go > 0 && member.guard.room() == Room::Shut;
        may_go -= usize::from(goes);
        !goes
    };
    members.iter().filter(stays).cloned().collect()
}

/// Those that say that they can work, or have not been asked; where there are none of them, all.
fn ready(left: Vec<Arc<Member>>) -> Vec<Arc<Member>> {
    let can_work = |member: &&Arc<Member>| member.says().is_none_or(|says| says == Says::Ready);
    let ready: Vec<_> = left.iter().filter(can_work).cloned().collect();
    if ready.is_empty() { left } else { ready }
}

fn weight(key: &str, address: &str) -> u64 {
    stable_hash(format!("{key} {address}").as_bytes())
}

fn less_loaded(left: &[Arc<Member>], drawn: u64) -> Option<Arc<Member>> {
    let count = left.len() as u64;
    let (first, other) = match count {
        0 => return None,
        1 => return left.first().cloned(),
        // Two different ones, each as likely as any.
        _ => (drawn % count, (drawn % count + 1 + (drawn >> 32) % (count - 1)) % count),
    };
    let (first, other) = (&left[first as usize], &left[other as usize]);
    let load = |member: &Member| locked(&member.service).load();
    Some(if load(other) < load(first) { other } else { first }.clone())
}

#[derive(Clone)]
pub(super) struct Balance(Instances);

impl Balance {
    pub(super) fn new(instances: Instances) -> Self {
        Self(instances)
    }
}

impl Service<Call> for Balance {
    type Response = Reply;
    type Error = CallError;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Answering {
        let Some(member) = self.0.choose(&call) else {
            return Box::pin(std::future::ready(Err(CallError::NotSent("nobody is registered"))));
        };
        Box::pin(locked(&member.service).call(call))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use futures::future::join_all;
    use tokio::sync::watch;
    use tower::ServiceExt;

    use super::*;
    use crate::call::{
        Callee, PROBED_EVERY, Probes, page,
        tests::{Script, call},
    };

    const THREE: [&str; 3] = ["http://a", "http://b", "http://c"];

    fn page(choice: Choice, script: &Script, addresses: &[&str]) -> Layered {
        let registry = Registry::fixed(addresses.iter().map(|address| (*address).to_owned()));
        let callee = Callee { choice, time_out: Duration::from_millis(500), ..Callee::new("", "s") };
        page::of("test", &callee, registry, script.clone(), Arc::new(watch::Sender::new(0))).0
    }

    async fn ask(page: &Layered, count: u32, key: Option<&str>) {
        for nth in 0..count {
            let trace = call().trace.child(&nth.to_string());
            let call = Call { trace, sticky: key.map(str::to_owned), ..call() };
            // What comes of it is the script's affair.
            let _ = page.clone().oneshot(call).await;
        }
    }

    fn shares(script: &Script) -> BTreeMap<String, usize> {
        let mut shares = BTreeMap::new();
        script.asked().into_iter().for_each(|address| *shares.entry(address).or_default() += 1);
        shares
    }

    #[tokio::test(start_paused = true)]
    async fn in_turn_each_gets_the_same() {
        let script = Script::new(|_| Script::done());
        ask(&page(Choice::InTurn, &script, &THREE), 30, None).await;
        assert_eq!(shares(&script).into_values().collect::<Vec<_>>(), [10, 10, 10]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_instance_gets_less_than_its_share() {
        let script = Script::slow_at("http://b", Duration::from_millis(400), Duration::from_millis(10));
        let page = page(Choice::LessLoaded, &script, &THREE);
        for _ in 0..20 {
            join_all((0..6).map(|_| ask(&page, 1, None))).await;
        }
        let shares = shares(&script);
        println!("of 120 calls: {shares:?}");
        assert!(shares["http://b"] * 3 < shares["http://a"].min(shares["http://c"]), "{shares:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn one_key_stays_at_one_instance_and_moves_only_while_that_is_away() {
        let script = Script::new(|_| Script::done());
        let three = page(Choice::ByKey, &script, &THREE);
        ask(&three, 20, Some("order-1")).await;
        let home = shares(&script);
        assert_eq!(home.len(), 1, "{home:?}");
        let home = home.into_keys().next().unwrap();
        let others: Vec<&str> = THREE.into_iter().filter(|address| *address != home).collect();
        let script = Script::new(|_| Script::done());
        ask(&page(Choice::ByKey, &script, &[others[0], &home]), 20, Some("order-1")).await;
        assert_eq!(
            shares(&script).into_keys().collect::<Vec<_>>(),
            [home],
            "one less moves nobody else's keys"
        );
        let script = Script::new(|_| Script::done());
        let three = page(Choice::ByKey, &script, &THREE);
        for order in 0..300 {
            ask(&three, 1, Some(&format!("order-{order}"))).await;
        }
        assert!(shares(&script).values().all(|share| (60..140).contains(share)), "{:?}", shares(&script));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_answer_is_ejected_and_comes_back_and_never_more_than_half_are() {
        let script = Script::lost_at("http://b");
        let two = page(Choice::InTurn, &script, &THREE);
        ask(&two, 60, None).await;
        let opened = shares(&script)["http://b"];
        assert_eq!(opened, 10, "then its breaker is open");
        ask(&two, 60, None).await;
        assert_eq!(shares(&script)["http://b"], opened, "and it is asked no more");
        tokio::time::advance(Duration::from_millis(500)).await;
        script.mend();
        ask(&two, 30, None).await;
        assert!(shares(&script)["http://b"] > opened + 5, "a probe brought it back");

        let all_lost = Script::new(|_| Script::lost());
        let four = page(Choice::InTurn, &all_lost, &["http://a", "http://b", "http://c", "http://d"]);
        ask(&four, 100, None).await;
        let sent = all_lost.heard().len();
        ask(&four, 100, None).await;
        assert_eq!(all_lost.heard().len(), sent, "breakers refuse what the cap lets through");
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_that_it_cannot_work_is_not_chosen_while_others_can() {
        let cannot = Arc::new(Mutex::new(BTreeMap::from([("http://b", Says::NotReady)])));
        let said = cannot.clone();
        let probes = Probes::asking(move |instance| {
            let says = locked(&said).get(instance.as_str()).cloned();
            Box::pin(std::future::ready(says.unwrap_or(Says::Ready)))
        });
        let script = Script::new(|_| Script::done());
        let registry = Registry::fixed(THREE.map(str::to_owned));
        let callee = Callee { choice: Choice::InTurn, probes: Some(probes), ..Callee::new("", "s") };
        let (page, _) = page::of("test", &callee, registry, script.clone(), Arc::default());
        ask(&page, 1, None).await;
        tokio::time::sleep(PROBED_EVERY).await;
        ask(&page, 30, None).await;
        let told = shares(&script);
        assert!(told.get("http://b").is_none_or(|asked| *asked <= 1), "before it was known: {told:?}");
        assert!(told["http://a"] >= 15 && told["http://c"] >= 15, "{told:?}");

        let refused = || Says::Nothing("no connection".to_owned());
        locked(&cannot).extend([("http://a", refused()), ("http://c", refused())]);
        tokio::time::sleep(PROBED_EVERY * 2).await;
        let before = shares(&script).values().sum::<usize>();
        ask(&page, 30, None).await;
        let all = shares(&script);
        assert_eq!(all.values().sum::<usize>(), before + 30);
        assert!(all["http://b"] >= 10, "where nobody can, all are tried: {all:?}");

        locked(&cannot).clear();
        tokio::time::sleep(PROBED_EVERY * 2).await;
        let before = shares(&script)["http://b"];
        ask(&page, 30, None).await;
        assert_eq!(shares(&script)["http://b"], before + 10, "and it is asked again");
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_in_no_list_is_not_asked_and_what_is_known_of_who_stays_stays() {
        let tell = watch::Sender::new(Addresses::from(["http://a".to_owned(), "http://b".to_owned()]));
        let registry = Registry { addresses: tell.subscribe(), _keeper: None };
        let script = Script::lost_at("http://a");
        let callee = Callee { choice: Choice::InTurn, ..Callee::new("", "s") };
        let closed = Arc::new(watch::Sender::new(0));
        let (page, _) = page::of("test", &callee, registry, script.clone(), closed);
        ask(&page, 40, None).await;
        let before = shares(&script)["http://a"];
        tell.send_replace(["http://a".to_owned(), "http://c".to_owned()].into());
        ask(&page, 20, None).await;
        let after = shares(&script);
        assert_eq!(
            (after["http://a"], after["http://c"]),
            (before, 20),
            "its breaker is still open: {after:?}"
        );
        tell.send_replace(Addresses::from([]));
        let nobody = page.clone().oneshot(call()).await;
        assert_eq!(nobody.unwrap_err(), CallError::NotSent("nobody is registered"));
    }
}
