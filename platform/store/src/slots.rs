//! Who works on which slots: members beat, slots have holders, a silent member's slots are taken over.
//!
//! Leases are for efficiency: two holders for a moment do no harm, as each write checks the slot's epoch
//! (consumers) or the stream's version (saga). After "How to do distributed locking" (M. Kleppmann, 2016):
//! the fencing token is what protects.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use banyan_kernel::SLOTS;
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

use crate::{Carried, Carrier, Place, Position, Store, StoreError};

const BEAT: &str = "insert into member (group_name, instance) values ($1, $2) \
     on conflict (group_name, instance) do update set beat = member.beat + 1";
const SLOTS_EXIST: &str = "insert into slot (group_name, slot) select $1, n from generate_series(0, $2::int - 1) n \
     on conflict do nothing";
const MEMBERS: &str = "select instance, beat from member where group_name = $1";
const HOLDERS: &str = "select slot, holder from slot where group_name = $1 order by slot";
/// Raises the epoch and reads the position in one statement: no write of the holder before comes between. A try at or before
/// the position was of an event that was applied.
const TAKE: &str = "update slot s set holder = $2, epoch = epoch + 1 from unnest($3::int2[], $4::uuid[]) t(slot, was) \
     where s.group_name = $1 and s.slot = t.slot and s.holder is not distinct from t.was \
     returning s.slot, s.epoch, s.source_epoch, s.source_xid::text::int8 as source_xid, s.source_seq, \
     s.carrier_cluster, s.carrier_partitions, s.carrier_offset, \
     case when t.was is null then null when (s.attempted_epoch, s.attempted_xid, s.attempted_seq) \
     > (s.source_epoch, s.source_xid, s.source_seq) then s.attempts else 0 end as tries";
const RELEASE: &str =
    "update slot set holder = null where group_name = $1 and holder = $2 and slot = any($3)";
const LEAVE: &str = "delete from member where group_name = $1 and instance = $2";

/// A slot that this process holds: with which epoch, and where the group stood when it took it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Which.
    pub slot: u16,
    /// Checked by every write; who comes later has a higher one.
    pub epoch: i64,
    /// Where the group stood.
    pub position: Position,
    /// Where its carrier goes on; none when it was served from the outbox itself, or never.
    pub carried: Option<Carried>,
    /// Set when the holder before never let it go and may have died of the event that comes next: how often that was tried.
    pub abandoned: Option<u32>,
}

impl Held {
    /// After an event of it at `place`. A position never goes back: an event may come again.
    #[must_use]
    pub fn after(&self, place: Place) -> Self {
        Self { position: self.position.max(place.position), carried: place.carried, ..*self }
    }

    /// Where it stands.
    #[must_use]
    pub fn place(&self) -> Place {
        Place { position: self.position, carried: self.carried }
    }
}

#[derive(sqlx::FromRow)]
struct Taken {
    slot: i16,
    epoch: i64,
    source_epoch: i64,
    source_xid: i64,
    source_seq: i64,
    carrier_cluster: Option<String>,
    carrier_partitions: Option<i32>,
    carrier_offset: Option<i64>,
    tries: Option<i32>,
}

impl From<Taken> for Held {
    fn from(row: Taken) -> Self {
        let carrier = row.carrier_cluster.zip(row.carrier_partitions);
        let carrier = carrier.map(|(cluster, partitions)| Carrier::new(&cluster, partitions));
        let carried = carrier.zip(row.carrier_offset);
        Self {
            slot: row.slot.unsigned_abs(),
            epoch: row.epoch,
            position: Position { epoch: row.source_epoch, xid: row.source_xid, seq: row.source_seq },
            carried: carried.map(|(carrier, next_offset)| Carried { carrier, next_offset }),
            abandoned: row.tries.map(i32::unsigned_abs),
        }
    }
}

/// What a member sees: everybody's beat and every slot's holder.
#[derive(Clone, Debug, Default)]
pub struct Observation {
    /// Each member's counter.
    pub members: Vec<(Uuid, i64)>,
    /// Each slot's holder.
    pub holders: Vec<(u16, Option<Uuid>)>,
}

/// Where members and holders are kept: PostgreSQL, or memory in simulation.
#[async_trait]
pub trait SlotTable: Send + Sync + 'static {
    /// Bumps `me` and tells what there is.
    async fn beat(&self, group: &str, me: Uuid) -> Result<Observation, StoreError>;
    /// Takes each slot if its holder is still the one named.
    async fn take(
        &self,
        group: &str,
        me: Uuid,
        slots: &[(u16, Option<Uuid>)],
    ) -> Result<Vec<Held>, StoreError>;
    /// Lets slots go.
    async fn release(&self, group: &str, me: Uuid, slots: &[u16]) -> Result<(), StoreError>;
    /// A member that is no more.
    async fn leave(&self, group: &str, member: Uuid) -> Result<(), StoreError>;
}

#[async_trait]
impl SlotTable for Store {
    async fn beat(&self, group: &str, me: Uuid) -> Result<Observation, StoreError> {
        let bumped = sqlx::query(BEAT).bind(group).bind(me).execute(self.pool()).await?;
        debug_assert_eq!(bumped.rows_affected(), 1);
        let members = sqlx::query_as(MEMBERS).bind(group).fetch_all(self.pool()).await?;
        let mut holders: Vec<(i16, Option<Uuid>)> =
            sqlx::query_as(HOLDERS).bind(group).fetch_all(self.pool()).await?;
        if holders.len() < usize::from(SLOTS) {
            sqlx::query(SLOTS_EXIST).bind(group).bind(i32::from(SLOTS)).execute(self.pool()).await?;
            holders = sqlx::query_as(HOLDERS).bind(group).fetch_all(self.pool()).await?;
        }
        let holders = holders.into_iter().map(|(slot, holder)| (slot.unsigned_abs(), holder)).collect();
        Ok(Observation { members, holders })
    }

    async fn take(
        &self,
        group: &str,
        me: Uuid,
        slots: &[(u16, Option<Uuid>)],
    ) -> Result<Vec<Held>, StoreError> {
        let (numbers, was): (Vec<i16>, Vec<Option<Uuid>>) =
            slots.iter().map(|(slot, was)| (*slot as i16, *was)).unzip();
        let rows: Vec<Taken> =
            sqlx::query_as(TAKE).bind(group).bind(me).bind(numbers).bind(was).fetch_all(self.pool()).await?;
        Ok(rows.into_iter().map(Held::from).collect())
    }

    async fn release(&self, group: &str, me: Uuid, slots: &[u16]) -> Result<(), StoreError> {
        let slots: Vec<i16> = slots.iter().map(|slot| *slot as i16).collect();
        sqlx::query(RELEASE).bind(group).bind(me).bind(slots).execute(self.pool()).await?;
        Ok(())
    }

    async fn leave(&self, group: &str, member: Uuid) -> Result<(), StoreError> {
        sqlx::query(LEAVE).bind(group).bind(member).execute(self.pool()).await?;
        Ok(())
    }
}

/// How often a member beats, and how long a silent one is thought alive.
#[derive(Clone, Copy, Debug)]
pub struct OwnershipConfig {
    /// Between two beats.
    pub beat: Duration,
    /// Without a beat, on the onlooker's own clock.
    pub time_to_live: Duration,
}

impl Default for OwnershipConfig {
    fn default() -> Self {
        Self { beat: Duration::from_millis(500), time_to_live: Duration::from_secs(2) }
    }
}

/// What to do next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Plan {
    take: Vec<(u16, Option<Uuid>)>,
    release: Vec<u16>,
    dead: Vec<Uuid>,
}

/// Remembers when each member's beat last changed. Pure but for the instant it is given.
#[derive(Debug)]
struct Watcher {
    me: Uuid,
    time_to_live: Duration,
    seen: BTreeMap<Uuid, (i64, Instant)>,
}

impl Watcher {
    fn plan(&mut self, now: Instant, held: &BTreeMap<u16, Held>, observed: &Observation) -> Plan {
        let dead = self.silent(now, &observed.members);
        let live = observed.members.iter().filter(|(member, _)| !dead.contains(member)).count().max(1);
        let share = usize::from(SLOTS).div_ceil(live);
        let is_free = |holder: &Option<Uuid>| match holder {
            None => true,
            // Mine by the table but not in hand: from before a restart under the same instance id.
            Some(holder) if *holder == self.me => true,
            Some(holder) => dead.contains(holder) || !observed.members.iter().any(|(m, _)| m == holder),
        };
        let room = share.saturating_sub(held.len());
        let free =
            observed.holders.iter().filter(|(slot, holder)| !held.contains_key(slot) && is_free(holder));
        let take: Vec<_> = free.take(room).copied().collect();
        // Mine by the table, and neither in hand nor wanted: let go, or nobody would ever take them.
        let forgotten =
            observed.holders.iter().filter(|slot| slot.1 == Some(self.me) && !take.contains(slot));
        let forgotten = forgotten.map(|(slot, _)| *slot).filter(|slot| !held.contains_key(slot));
        let release = held.keys().skip(share).copied().chain(forgotten).collect();
        Plan { take, release, dead: dead.clone() }
    }

    /// The members whose counter stood still for the time to live.
    fn silent(&mut self, now: Instant, members: &[(Uuid, i64)]) -> Vec<Uuid> {
        for (member, beat) in members {
            let entry = self.seen.entry(*member).or_insert((*beat, now));
            if entry.0 != *beat {
                *entry = (*beat, now);
            }
        }
        self.seen.retain(|member, _| members.iter().any(|(known, _)| known == member));
        let silent = |(_, since): &(i64, Instant)| now.duration_since(*since) >= self.time_to_live;
        let silent = self.seen.iter().filter(|(member, entry)| **member != self.me && silent(entry));
        silent.map(|(member, _)| *member).collect()
    }
}

/// Keeps this process's share of a group's slots.
pub struct Ownership {
    table: Arc<dyn SlotTable>,
    group: String,
    me: Uuid,
    config: OwnershipConfig,
    held: watch::Sender<BTreeMap<u16, Held>>,
}

impl Ownership {
    /// Of `group`, as `me`. `me` is unique among living processes; a restarted one may keep its own.
    #[must_use]
    pub fn new(
        table: Arc<dyn SlotTable>,
        group: impl Into<String>,
        me: Uuid,
        config: OwnershipConfig,
    ) -> Self {
        Self { table, group: group.into(), me, config, held: watch::Sender::new(BTreeMap::new()) }
    }

    /// What is held now, and changes of it.
    #[must_use]
    pub fn held(&self) -> watch::Receiver<BTreeMap<u16, Held>> {
        self.held.subscribe()
    }

    /// Beats until `stop`, then lets everything go.
    pub async fn run(&self, stop: impl Future<Output = ()> + Send) {
        let mut stop = std::pin::pin!(stop);
        let mut watcher =
            Watcher { me: self.me, time_to_live: self.config.time_to_live, seen: BTreeMap::new() };
        let mut heard = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = self.turn(&mut watcher, &mut heard) => {}
            }
            tokio::select! {
                biased;
                () = &mut stop => break,
                () = tokio::time::sleep(self.config.beat) => {}
            }
        }
        self.leave().await;
    }

    async fn turn(&self, watcher: &mut Watcher, heard: &mut Instant) {
        match self.try_turn(watcher).await {
            Ok(()) => *heard = Instant::now(),
            Err(error) => {
                tracing::warn!(group = self.group, %error, "cannot beat");
                // Others think us dead by now: what was held may be theirs.
                if heard.elapsed() >= self.config.time_to_live {
                    self.held.send_if_modified(|held| !std::mem::take(held).is_empty());
                }
            }
        }
    }

    async fn try_turn(&self, watcher: &mut Watcher) -> Result<(), StoreError> {
        let observed = self.table.beat(&self.group, self.me).await?;
        self.drop_lost(&observed);
        let plan = watcher.plan(Instant::now(), &self.held.borrow().clone(), &observed);
        if !plan.release.is_empty() {
            self.held.send_modify(|held| held.retain(|slot, _| !plan.release.contains(slot)));
            self.table.release(&self.group, self.me, &plan.release).await?;
        }
        if !plan.take.is_empty() {
            let taken = self.table.take(&self.group, self.me, &plan.take).await?;
            tracing::info!(group = self.group, slots = ?taken.iter().map(|t| t.slot).collect::<Vec<_>>(), "took");
            self.held.send_modify(|held| held.extend(taken.into_iter().map(|taken| (taken.slot, taken))));
        }
        for member in plan.dead {
            self.table.leave(&self.group, member).await?;
        }
        Ok(())
    }

    /// Slots that the table says are another's now.
    fn drop_lost(&self, observed: &Observation) {
        let mine =
            |slot: &u16| observed.holders.iter().any(|(s, holder)| s == slot && *holder == Some(self.me));
        self.held.send_if_modified(|held| {
            let before = held.len();
            held.retain(|slot, _| mine(slot));
            held.len() != before
        });
    }

    async fn leave(&self) {
        let slots: Vec<u16> = self.held.send_replace(BTreeMap::new()).into_keys().collect();
        let left = async {
            self.table.release(&self.group, self.me, &slots).await?;
            self.table.leave(&self.group, self.me).await
        };
        if let Err(error) = left.await {
            tracing::warn!(group = self.group, %error, "left without saying so; others wait for the time to live");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(slots: impl IntoIterator<Item = u16>) -> BTreeMap<u16, Held> {
        slots
            .into_iter()
            .map(|slot| {
                (slot, Held { slot, epoch: 1, position: Position::START, carried: None, abandoned: None })
            })
            .collect()
    }

    fn watcher(me: Uuid) -> Watcher {
        Watcher { me, time_to_live: Duration::from_secs(2), seen: BTreeMap::new() }
    }

    #[test]
    fn one_alone_takes_all_and_gives_half_to_a_second() {
        let (me, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let now = Instant::now();
        let free = (0..SLOTS).map(|slot| (slot, None)).collect();
        let alone = Observation { members: vec![(me, 1)], holders: free };
        assert_eq!(watcher(me).plan(now, &held([]), &alone).take.len(), usize::from(SLOTS));
        let mine = (0..SLOTS).map(|slot| (slot, Some(me))).collect();
        let both = Observation { members: vec![(me, 2), (other, 1)], holders: mine };
        assert_eq!(watcher(me).plan(now, &held(0..SLOTS), &both).release, [4, 5, 6, 7]);
    }

    #[test]
    fn what_is_mine_by_the_table_and_more_than_my_share_is_let_go() {
        let (me, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let mine = (0..SLOTS).map(|slot| (slot, Some(me))).collect();
        let observed = Observation { members: vec![(me, 1), (other, 1)], holders: mine };
        let plan = watcher(me).plan(Instant::now(), &held(0..2), &observed);
        assert_eq!(plan.take.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [2, 3]);
        assert_eq!(plan.release, [4, 5, 6, 7]);
    }

    #[test]
    fn a_silent_members_slots_are_taken_after_the_time_to_live_and_not_before() {
        let (me, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let holders = (0..SLOTS).map(|slot| (slot, Some(if slot < 4 { me } else { other }))).collect();
        let observed = Observation { members: vec![(me, 1), (other, 7)], holders };
        let mut watcher = watcher(me);
        let now = Instant::now();
        assert_eq!(watcher.plan(now, &held(0..4), &observed), Plan::default());
        let soon = now + Duration::from_millis(1_999);
        assert_eq!(watcher.plan(soon, &held(0..4), &observed), Plan::default());
        let plan = watcher.plan(now + Duration::from_secs(2), &held(0..4), &observed);
        assert_eq!(plan.take.iter().map(|(slot, _)| *slot).collect::<Vec<_>>(), [4, 5, 6, 7]);
        assert_eq!(plan.dead, [other]);
    }
}
