//! Implementation of payments.
