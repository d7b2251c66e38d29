//! Implementation of shipping.
