//! Where a module's truth is kept.
//!
//! [`Store::begin`] opens the one write path: it takes the module's fence and the locks of what is to be
//! changed *before* the transaction has an xid, so that decisions are made on what stays true and the
//! events of one aggregate get xids in the order of their versions. [`Write::tell`] puts events beside the
//! state they tell of; [`Write::commit`] makes both visible and wakes who waits for them.
//!
//! Statements are named constants beside their use.

mod error;
mod fence;
mod halves;
mod lock;
mod migrate;
mod outbox;
mod position;
mod role;
mod signal;
mod slots;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
mod write;

pub use error::StoreError;
pub use fence::{Fence, identity};
pub use halves::by_halves;
pub use lock::Locks;
pub use migrate::{Schema, prepare};
pub use outbox::{Horizon, Page, Tell, read_outbox, read_subject};
pub use position::{Carried, Carrier, Place, Position};
pub use role::{ROLE_SETTINGS, password_of, role_of, role_options, role_password};
pub use signal::Signal;
pub use slots::{Held, Observation, Ownership, OwnershipConfig, SlotTable};
pub use sqlx;
pub use write::{Store, Write};
