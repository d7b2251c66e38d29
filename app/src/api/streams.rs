//! How many live views are open: bounded per principal, and for customers and for the shop's own people apart, so that
//! nobody shuts the others out.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use banyan_kernel::{Actor, Role};

/// Of one principal.
const OF_ONE_MAX: usize = 16;
/// Of all customers together.
const OF_CUSTOMERS_MAX: usize = 256;
/// Of all others together.
const OF_OTHERS_MAX: usize = 64;

/// The open streams of a shop.
#[derive(Clone, Debug, Default)]
pub struct Streams(Arc<Mutex<HashMap<Actor, usize>>>);

/// One open stream; dropped, it is closed.
#[derive(Debug)]
pub(super) struct OpenStream {
    of: Actor,
    streams: Streams,
}

impl Streams {
    /// One more for `actor`, or none where they, or all like them, have as many as they may.
    pub(super) fn open(&self, actor: &Actor) -> Option<OpenStream> {
        let is_customer = |actor: &Actor| actor.role == Role::Customer;
        let mut open = self.counts();
        let alike = open.iter().filter(|(other, _)| is_customer(other) == is_customer(actor));
        let alike: usize = alike.map(|(_, count)| count).sum();
        let own = open.get(actor).copied().unwrap_or(0);
        let alike_max = if is_customer(actor) { OF_CUSTOMERS_MAX } else { OF_OTHERS_MAX };
        if own >= OF_ONE_MAX || alike >= alike_max {
            return None;
        }
        open.insert(actor.clone(), own + 1);
        Some(OpenStream { of: actor.clone(), streams: self.clone() })
    }

    fn counts(&self) -> MutexGuard<'_, HashMap<Actor, usize>> {
        // Nothing under it panics half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        let mut open = self.streams.counts();
        match open.get_mut(&self.of) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(open.remove(&self.of)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actor(role: Role, id: usize) -> Actor {
        Actor { role, id: id.to_string() }
    }

    #[test]
    fn nobody_shuts_the_others_out() {
        let streams = Streams::default();
        let open = |role, id| streams.open(&actor(role, id));
        let mut greedy: Vec<_> = std::iter::from_fn(|| open(Role::Customer, 0)).collect();
        assert_eq!(greedy.len(), OF_ONE_MAX);
        let others: Vec<_> = (1..1_000).filter_map(|id| open(Role::Customer, id)).collect();
        assert_eq!(greedy.len() + others.len(), OF_CUSTOMERS_MAX);
        let staff = open(Role::Staff, 0);
        assert!(staff.is_some(), "however many customers there are");
        drop(others);
        assert!(open(Role::Customer, 0).is_none(), "one's own count");
        greedy.pop();
        assert!(open(Role::Customer, 0).is_some(), "what is closed counts no longer");
        drop((greedy, staff));
        assert!(streams.counts().is_empty(), "who has none is forgotten");
    }
}
