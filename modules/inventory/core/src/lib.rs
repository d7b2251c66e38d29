//! Implementation of inventory.
