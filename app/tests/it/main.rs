//! The shop from outside: its HTTP API, its contract, its command line; and the shape of the workspace.

mod architecture;
mod catalog;
mod command_line;
mod containers;
mod customers;
mod http;
mod identity;
mod make_it_yours;
mod observe;
mod openapi;
mod reading;
mod readme;
mod refunds;
mod shipments;
mod shop;
mod stock;
mod stuck;
mod traces;
mod webhooks;
