//! Members and slots in memory.

use async_trait::async_trait;
use banyan_store::{Held, Observation, SlotTable, StoreError};
use uuid::Uuid;

use super::inbox::Process;

#[async_trait]
impl SlotTable for Process {
    async fn beat(&self, _group: &str, me: Uuid) -> Result<Observation, StoreError> {
        self.step().await;
        if self.percent(2) {
            return Err(StoreError::Unavailable("away".to_owned()));
        }
        let mut tables = self.world.tables();
        *tables.members.entry(me).or_insert(0) += 1;
        let members = tables.members.iter().map(|(member, beat)| (*member, *beat)).collect();
        let holders = (0..).zip(&tables.slots).map(|(slot, row)| (slot, row.holder)).collect();
        Ok(Observation { members, holders })
    }

    async fn take(
        &self,
        _group: &str,
        me: Uuid,
        slots: &[(u16, Option<Uuid>)],
    ) -> Result<Vec<Held>, StoreError> {
        self.step().await;
        let held = {
            let mut tables = self.world.tables();
            let taken = slots.iter().filter_map(|(slot, was)| {
                let row = tables.slots.get_mut(usize::from(*slot)).filter(|row| row.holder == *was)?;
                (row.holder, row.epoch) = (Some(me), row.epoch + 1);
                let (tried, tries) = row.attempted;
                let abandoned = was.map(|_| if tried > row.position { tries } else { 0 });
                Some(Held { slot: *slot, epoch: row.epoch, position: row.position, carried: None, abandoned })
            });
            taken.collect()
        };
        self.step().await;
        Ok(held)
    }

    async fn release(&self, _group: &str, me: Uuid, slots: &[u16]) -> Result<(), StoreError> {
        self.step().await;
        for slot in slots {
            let row = &mut self.world.tables().slots[usize::from(*slot)];
            row.holder = row.holder.filter(|holder| *holder != me);
        }
        Ok(())
    }

    async fn leave(&self, _group: &str, member: Uuid) -> Result<(), StoreError> {
        self.step().await;
        self.world.tables().members.remove(&member);
        Ok(())
    }
}
