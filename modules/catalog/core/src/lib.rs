//! Implementation of catalog.
