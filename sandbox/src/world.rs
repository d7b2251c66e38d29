//! Everything the outside world knows: a fold of its book, live and at start alike.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use serde::Serialize;

use crate::book::{Effect, Entry};
use crate::carrier::Shipment;
use crate::config::Config;
use crate::digest::Digest;
use crate::faults::{Counts, FaultKind};
use crate::gateway::{Intent, Refund};
use crate::keys::Keys;
use crate::step::{Address, Party, Step};

/// How often a kind of entry was written, and what it adds up to.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Total {
    count: u64,
    amount_minor: BTreeMap<String, i64>,
}

/// Everything the outside world knows.
pub(crate) struct World {
    pub(crate) keys: Keys,
    pub(crate) counts: Counts,
    pub(crate) totals: BTreeMap<&'static str, Total>,
    intents: HashMap<String, Intent>,
    intents_of_order: HashMap<String, Vec<String>>,
    refunds_of_intent: HashMap<String, Vec<Refund>>,
    shipments: HashMap<String, Shipment>,
    shipments_of_reference: HashMap<String, Vec<String>>,
    /// Shipment and count within it, in the order of their booking.
    parcels_booked: Vec<(String, usize)>,
    lines_of_order: HashMap<String, Vec<u64>>,
    seen: HashSet<u128>,
}

impl World {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            keys: Keys::new(config.key_memory),
            counts: Counts::default(),
            totals: BTreeMap::new(),
            intents: HashMap::new(),
            intents_of_order: HashMap::new(),
            refunds_of_intent: HashMap::new(),
            shipments: HashMap::new(),
            shipments_of_reference: HashMap::new(),
            parcels_booked: Vec::new(),
            lines_of_order: HashMap::new(),
            seen: HashSet::new(),
        }
    }

    /// Takes over what a line of the book says.
    pub(crate) fn apply(&mut self, line: Range<u64>, entry: &Entry) {
        if let Some(key) = &entry.key {
            let key = key_digest(entry.step.party(), key);
            self.keys.hold(key, entry.fingerprint.clone(), entry.at, line.clone());
        }
        if let Some(order) = &entry.order {
            self.lines_of_order.entry(order.clone()).or_default().push(line.start);
            self.seen.insert(address_digest(order, entry.step, entry.attempt));
        }
        self.count(entry);
        self.take_over(&entry.effect);
    }

    /// Whether this attempt never had an effect; a request without an order is always the first.
    pub(crate) fn first(&self, address: &Address) -> bool {
        address.order.is_empty()
            || !self.seen.contains(&address_digest(&address.order, address.step, address.attempt))
    }

    pub(crate) fn intent(&self, id: &str) -> Option<&Intent> {
        self.intents.get(id)
    }

    pub(crate) fn intents_of_order(&self, order: &str) -> impl Iterator<Item = &Intent> {
        let ids = self.intents_of_order.get(order).map_or([].as_slice(), Vec::as_slice);
        ids.iter().rev().filter_map(|id| self.intents.get(id))
    }

    pub(crate) fn refunds_of_intent(&self, id: &str) -> &[Refund] {
        self.refunds_of_intent.get(id).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn shipment(&self, id: &str) -> Option<&Shipment> {
        self.shipments.get(id)
    }

    pub(crate) fn shipments_of_reference(&self, reference: &str) -> impl Iterator<Item = &Shipment> {
        let ids = self.shipments_of_reference.get(reference).map_or([].as_slice(), Vec::as_slice);
        ids.iter().rev().filter_map(|id| self.shipments.get(id))
    }

    /// The parcels booked after so many others; none, where there are not so many.
    pub(crate) fn parcels_from(&self, count: usize) -> Option<impl Iterator<Item = (&Shipment, usize)>> {
        let parcels = self.parcels_booked.get(count..)?;
        Some(parcels.iter().filter_map(|(id, parcel)| Some((self.shipments.get(id)?, *parcel))))
    }

    /// Where the lines of an order begin.
    pub(crate) fn lines_of_order(&self, order: &str) -> &[u64] {
        self.lines_of_order.get(order).map_or(&[], Vec::as_slice)
    }

    fn count(&mut self, entry: &Entry) {
        let order = entry.order.as_deref().unwrap_or_default();
        // A card of its own accord refuses as well as a plan does.
        if entry.effect.refused() {
            self.counts.add(entry.step, FaultKind::Refuse, order);
        }
        if let Some(kind) = entry.fault.filter(|kind| *kind != FaultKind::Refuse) {
            self.counts.add(entry.step, kind, order);
        }
        let total = self.totals.entry(entry.effect.kind()).or_default();
        total.count += 1;
        if let Some(currency) = &entry.currency {
            *total.amount_minor.entry(currency.clone()).or_default() += entry.amount_minor;
        }
    }

    fn take_over(&mut self, effect: &Effect) {
        if let Some(intent) = effect.intent() {
            self.put_intent(intent);
        }
        match effect {
            Effect::Refunded { intent, refund } => {
                self.refunds_of_intent.entry(intent.id.clone()).or_default().push(refund.clone());
            }
            Effect::ShipmentBooked { shipment } | Effect::ShipmentCancelled { shipment } => {
                self.put_shipment(shipment);
            }
            _ => {}
        }
    }

    fn put_intent(&mut self, intent: &Intent) {
        let known = self.intents.insert(intent.id.clone(), intent.clone()).is_some();
        if let Some(order) = intent.metadata.get("order").filter(|_| !known) {
            self.intents_of_order.entry(order.clone()).or_default().push(intent.id.clone());
        }
    }

    fn put_shipment(&mut self, shipment: &Shipment) {
        let known = self.shipments.insert(shipment.id.clone(), shipment.clone()).is_some();
        if !known {
            let parcels = (0..shipment.parcels()).map(|parcel| (shipment.id.clone(), parcel));
            self.parcels_booked.extend(parcels);
            let ids = self.shipments_of_reference.entry(shipment.reference.clone()).or_default();
            ids.push(shipment.id.clone());
        }
    }
}

/// Keys of the two parties never meet.
pub(crate) fn key_digest(party: Party, key: &str) -> u128 {
    let party: &[u8] = match party {
        Party::Gateway => b"gateway",
        Party::Carrier => b"carrier",
    };
    Digest::of(&[party, key.as_bytes()]).wide()
}

fn address_digest(order: &str, step: Step, attempt: u32) -> u128 {
    Digest::of(&[order.as_bytes(), step.name().as_bytes(), &attempt.to_be_bytes()]).wide()
}
