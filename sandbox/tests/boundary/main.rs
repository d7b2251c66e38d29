//! The sandbox through its HTTP boundary: a free port, a folder of its own, a clock set by hand.

mod bad_input;
mod book;
mod carrier;
mod control;
mod faults;
mod gateway;
mod outside;
mod webhooks;
