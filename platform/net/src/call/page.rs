//! The page of calls: everything between a wish and the socket, from the outer layer to the inner. Each layer is a
//! [`tower::Service`] of its own, in a file of its own, tested alone in paused time.
//!
//! 1. **Trace and metrics** (`traced`): a span per call, told to the callee with the correlation id; how long calls take, by callee,
//!    step and outcome, and how many *items* were answered or not: a batch of fifty is fifty.
//! 2. **Total deadline** (`deadline`): the caller's, or the callee's usual one if that is sooner. What is left of it is passed on as a
//!    header, so that the last callee of a chain does not work for nobody.
//! 3. **Retry with a budget** (`retry`): exponential back-off with full jitter; a retry is paid for by a share of the calls that were
//!    made, so that a callee in trouble gets a tenth more, and never a multiple. A caller with a durable retry of its own says so
//!    ([`super::Call::again`]), and then this layer does nothing.
//! 4. **Balancer** (`balance`) over the instances that the registry names and that are not ejected: the less loaded of two, in turn,
//!    or by a consistent hash. An instance is ejected while its breaker is open; never more than half of them at once. One that says
//!    that it cannot work (`probe`, asked once a second) is not chosen while others can.
//! 5. **Bulkhead and load shedding** (`limit`), per instance: what does not fit is refused, not queued, and how much fits follows
//!    from how long the answers take.
//! 6. **Breaker** (`guard` around `breaker`), per instance: who does not answer is not asked for a while; its closing wakes who is
//!    parked on it.
//! 7. **Time-out per attempt** (`attempt`): a part of the deadline, so that there is something left for another instance.
//! 8. **Client** (`exchange`): one pool of kept-alive connections, a bounded answer.

use std::sync::Arc;

use tokio::sync::watch;
use tower::{ServiceBuilder, util::BoxCloneSyncService};

use super::{
    Answers, Callee, Layered, Registry,
    attempt::InTime,
    balance::{Balance, Instances, Member},
    deadline::Deadline,
    guard::Guard,
    limit::{Bulkhead, Gate},
    retry::Again,
    traced::Traced,
};

/// The layers around `exchange`, which makes one attempt at one instance.
pub(super) fn of(
    name: &'static str,
    callee: &Callee,
    registry: Registry,
    exchange: impl Answers + To,
    closed: Arc<watch::Sender<u64>>,
) -> (Layered, Instances) {
    let (bounds, time_out, probes) = (callee.bounds, callee.time_out, callee.probes.clone());
    let instance = move |address: &str| {
        let (guard, gate) = (Guard::new(name, closed.clone()), Gate::new(bounds));
        let below = ServiceBuilder::new()
            .layer_fn(|inner| Bulkhead::new(name, gate.clone(), inner))
            .layer_fn(|inner| guard.clone().around(inner))
            .layer_fn(|inner| InTime::new(time_out, inner))
            .service(exchange.to(address));
        let probe = probes.as_ref().map(|probes| probes.of(address));
        Member::new(address, BoxCloneSyncService::new(below), (guard, gate, probe))
    };
    let instances = Instances::new(registry, callee.choice, Arc::new(instance));
    let page = ServiceBuilder::new()
        .layer_fn(|inner| Traced::new(name, inner))
        // However long one attempt may take, it may be made once.
        .layer_fn(|inner| Deadline::new(callee.deadline.max(time_out), inner))
        .layer_fn(|inner| Again::around(name, callee.attempts, inner))
        .service(Balance::new(instances.clone()));
    (BoxCloneSyncService::new(page), instances)
}

/// What can be pointed at an instance.
pub(super) trait To {
    /// The same, for this instance.
    fn to(&self, address: &str) -> Self;
}
