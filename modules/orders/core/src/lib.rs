//! Implementation of orders.
