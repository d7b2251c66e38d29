//! The pure core: a request meets the world, and becomes a line of the book or nothing.

use serde_json::Error as JsonError;
use time::OffsetDateTime;

use crate::answer::{Answer, Trouble};
use crate::book::{Effect, Entry, FORM, Tail};
use crate::digest::Digest;
use crate::faults::{Fault, FaultKind};
use crate::keys::Known;
use crate::step::{Address, Step};
use crate::world::{World, key_digest};

/// One thing that can be asked of the outside world.
pub(crate) trait Ask: Send + Sync + 'static {
    /// Which step of the saga this is.
    fn step(&self) -> Step;

    /// The order it belongs to, where the caller did not say.
    fn order_in(&self, _world: &World) -> Option<String> {
        None
    }

    /// Whether it takes `slow_ms` to do.
    fn slow(&self) -> bool {
        false
    }

    /// Whether it is done without an answer the first time.
    fn never_answers(&self) -> bool {
        false
    }

    /// What comes of it; an error is answered, leaves nothing behind and is not remembered.
    fn decide(&self, world: &World, stamp: &Stamp) -> Result<Effect, Answer>;
}

/// What a decision needs besides the world.
pub(crate) struct Stamp {
    pub(crate) at: OffsetDateTime,
    pub(crate) refuse: bool,
    seed: u64,
    offset: u64,
}

impl Stamp {
    /// A new id: no two lines begin at the same offset at the same time.
    pub(crate) fn id(&self, prefix: &str) -> String {
        let at = self.at.unix_timestamp_nanos().to_be_bytes();
        let digest =
            Digest::of(&[prefix.as_bytes(), &self.seed.to_be_bytes(), &self.offset.to_be_bytes(), &at]);
        format!("{prefix}_{}", digest.short_hex())
    }
}

/// A request on its way to the core, by whatever wire.
pub(crate) struct Delivery<A> {
    pub(crate) ask: A,
    pub(crate) address: Address,
    pub(crate) planned: Fault,
    pub(crate) key: Option<String>,
    pub(crate) fingerprint: String,
    pub(crate) correlation: Option<String>,
    pub(crate) trace: Option<String>,
}

impl<A: Ask> Delivery<A> {
    fn key_digest(&self) -> Option<u128> {
        self.key.as_deref().map(|key| key_digest(self.ask.step().party(), key))
    }
}

/// What came of a delivery.
#[derive(Debug)]
pub(crate) enum Taken {
    /// A line that ends here; the answer may leave once the book is on disk that far.
    Done { answer: Answer, end: u64, fault: Option<FaultKind> },
    /// The answer is the line that begins here.
    Repeat { offset: u64 },
    /// Nothing was done; what the answer says may still be on its way to the disk.
    Refused { answer: Answer, end: u64 },
    /// Nothing was done.
    Stopped(Trouble),
}

/// The world and the end of its book, changed together.
pub(crate) struct Ledger {
    pub(crate) world: World,
    pub(crate) tail: Tail,
    pub(crate) seed: u64,
}

impl Ledger {
    /// What is known of the delivery's key already, if anything.
    pub(crate) fn known<A: Ask>(
        &mut self,
        delivery: &Delivery<A>,
        wall: OffsetDateTime,
        durable: u64,
    ) -> Option<Taken> {
        let known = self.world.keys.known(delivery.key_digest()?, &delivery.fingerprint, wall, durable)?;
        Some(match known {
            Known::Answered(offset) => Taken::Repeat { offset },
            Known::InFlight => Taken::Stopped(Trouble::KeyInFlight),
            Known::Reused => Taken::Stopped(Trouble::KeyReused),
        })
    }

    /// Marks the key as being worked on, and tells what is known of it otherwise.
    pub(crate) fn begin<A: Ask>(
        &mut self,
        delivery: &Delivery<A>,
        wall: OffsetDateTime,
        durable: u64,
    ) -> Option<Taken> {
        let known = self.known(delivery, wall, durable);
        if let (None, Some(key)) = (&known, delivery.key_digest()) {
            self.world.keys.start(key);
        }
        known
    }

    /// Ends what [`Self::begin`] began.
    pub(crate) fn finish<A: Ask>(&mut self, delivery: &Delivery<A>, wall: OffsetDateTime) -> Taken {
        if let Some(key) = delivery.key_digest() {
            self.world.keys.stop(key);
        }
        self.act(delivery, wall)
    }

    /// Does what is asked, unless the key knows better.
    pub(crate) fn take<A: Ask>(
        &mut self,
        delivery: &Delivery<A>,
        wall: OffsetDateTime,
        durable: u64,
    ) -> Taken {
        self.known(delivery, wall, durable).unwrap_or_else(|| self.act(delivery, wall))
    }

    fn act<A: Ask>(&mut self, delivery: &Delivery<A>, wall: OffsetDateTime) -> Taken {
        let refuse = delivery.planned == Fault::Refuse;
        let stamp = Stamp { at: micros(wall), refuse, seed: self.seed, offset: self.tail.end() };
        let effect = match delivery.ask.decide(&self.world, &stamp) {
            Ok(effect) => effect,
            Err(answer) => return Taken::Refused { answer, end: self.tail.end() },
        };
        let fault = self.fault(delivery, &effect);
        let entry = entry(delivery, effect, stamp.at, fault);
        match self.write(&entry) {
            Ok(end) => Taken::Done { answer: entry.effect.answer(), end, fault },
            Err(_) => Taken::Stopped(Trouble::NotBooked),
        }
    }

    fn write(&mut self, entry: &Entry) -> Result<u64, JsonError> {
        let mut line = serde_json::to_vec(entry)?;
        line.push(b'\n');
        let range = self.tail.append(&line);
        self.world.apply(range.clone(), entry);
        Ok(range.end)
    }

    /// Which fault meets the answer: all but a refusal only where the attempt has its first effect.
    fn fault<A: Ask>(&self, delivery: &Delivery<A>, effect: &Effect) -> Option<FaultKind> {
        if delivery.planned == Fault::Refuse {
            return effect.refused().then_some(FaultKind::Refuse);
        }
        if !self.world.first(&delivery.address) {
            return None;
        }
        delivery.planned.kind().or_else(|| delivery.ask.never_answers().then_some(FaultKind::Timeout))
    }
}

fn entry<A: Ask>(
    delivery: &Delivery<A>,
    effect: Effect,
    at: OffsetDateTime,
    fault: Option<FaultKind>,
) -> Entry {
    let address = &delivery.address;
    Entry {
        v: FORM,
        at,
        order: Some(address.order.clone()).filter(|order| !order.is_empty()),
        step: address.step,
        attempt: address.attempt,
        delivery: address.delivery,
        id: effect.id().map(str::to_owned),
        amount_minor: effect.amount_minor(),
        currency: effect.intent().map(|intent| intent.currency.clone()),
        key: delivery.key.clone(),
        fingerprint: delivery.fingerprint.clone(),
        fault,
        correlation: delivery.correlation.clone(),
        trace: delivery.trace.clone(),
        effect,
    }
}

/// The book keeps microseconds, as the shop does.
fn micros(wall: OffsetDateTime) -> OffsetDateTime {
    wall.replace_nanosecond(wall.microsecond() * 1_000).expect("a microsecond is within its second")
}
