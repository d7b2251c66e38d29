//! What must hold on real processes: killed, frozen, doubled, moved, tampered with, and told nonsense.

mod apart;
mod bad_days;
mod carrier;
mod epoch;
mod folder;
mod frozen;
mod idle;
mod inventory_out;
mod kill;
mod open_close;
mod planted;
mod routes;
mod two_shops;
