//! What everybody who asks or hears expects, written down as pacts; and everybody who answers or tells, held to them.
#![cfg(feature = "pact")]

mod broken;
mod catalog;
mod events;
mod extracted;
mod inventory;
mod notifications;
mod orders;
mod outside;
mod payments;
mod shipping;
mod talk;
mod verify;
