//! How often one may ask: the generic cell rate algorithm (ITU-T I.371), by principal, and by address for who has
//! no valid token.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    net::{IpAddr, Ipv6Addr},
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use banyan_kernel::Actor;
use governor::{
    Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    state::keyed::DefaultKeyedStateStore,
};

/// Requests a second; a burst may be twice as many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RatePerSecond(pub NonZeroU32);

/// Every so many requests the memory of those who stopped asking is given back, so that it is bounded by who asks
/// within a burst's time.
const TIDY_EVERY: u32 = 16_384;

type Limiter = RateLimiter<u64, DefaultKeyedStateStore<u64>, DefaultClock>;

/// Counts requests.
pub struct Limits {
    principals: Limiter,
    addresses: Limiter,
    taken: AtomicU32,
}

impl Limits {
    /// For each principal, and for each address without one.
    #[must_use]
    pub fn new(principal: RatePerSecond, address: RatePerSecond) -> Self {
        let limiter = |RatePerSecond(rate): RatePerSecond| {
            let burst = rate.saturating_add(rate.get());
            RateLimiter::keyed(Quota::per_second(rate).allow_burst(burst))
        };
        Self { principals: limiter(principal), addresses: limiter(address), taken: AtomicU32::new(0) }
    }

    /// One request of a principal's; how long to wait if it was one too many.
    pub(super) fn take_principal(&self, actor: &Actor) -> Result<(), Duration> {
        self.take(&self.principals, actor)
    }

    /// One request from an address. A whole network of IPv6 is one, as one customer has it.
    pub(super) fn take_address(&self, address: Option<IpAddr>) -> Result<(), Duration> {
        let network = address.map(|address| match address {
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            IpAddr::V4(_) => address,
        });
        self.take(&self.addresses, &network)
    }

    fn take(&self, limiter: &Limiter, key: &impl Hash) -> Result<(), Duration> {
        if self.taken.fetch_add(1, Ordering::Relaxed) % TIDY_EVERY == TIDY_EVERY - 1 {
            self.principals.retain_recent();
            self.addresses.retain_recent();
        }
        // Two keys that share a hash share a limit: unlikely by chance, and of no use by design, as the hash of an
        // actor is not the client's to choose.
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        let taken = limiter.check_key(&hasher.finish());
        taken.map_err(|until| until.wait_time_from(DefaultClock::default().now()))
    }
}

#[cfg(test)]
mod tests {
    use banyan_kernel::Role;

    use super::*;

    fn rate(per_second: u32) -> RatePerSecond {
        RatePerSecond(NonZeroU32::new(per_second).expect("some"))
    }

    fn actor(id: &str) -> Actor {
        Actor { role: Role::Customer, id: id.to_owned() }
    }

    #[test]
    fn a_burst_is_let_through_and_one_more_is_told_to_wait_and_others_are_not_hurt() {
        let limits = Limits::new(rate(1), rate(1));
        let taken: Vec<bool> = (0..3).map(|_| limits.take_principal(&actor("a")).is_ok()).collect();
        assert_eq!(taken, [true, true, false]);
        assert!(limits.take_principal(&actor("b")).is_ok());
        let wait = limits.take_principal(&actor("a")).expect_err("too many");
        assert!(!wait.is_zero() && wait <= Duration::from_secs(1), "{wait:?}");
    }

    #[test]
    fn the_addresses_of_one_ipv6_network_are_one() {
        let limits = Limits::new(rate(1), rate(1));
        let from = |text: &str| limits.take_address(text.parse().ok()).is_ok();
        let taken = ["2001:db8::1", "2001:db8::2", "2001:db8::3", "2001:db8:0:1::1", "192.0.2.1"].map(from);
        assert_eq!(taken, [true, true, false, true, true]);
    }
}
