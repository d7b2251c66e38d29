//! The outside world as a process: a payment gateway shaped like Stripe's PaymentIntents, and a carrier,
//! with an append-only book of what really happened and with faults that are a function of the request.
//!
//! It shares no type with the shop: whoever speaks to it speaks HTTP. `README.md` has the API, the magic
//! payment methods, the grammar of fault profiles and the form of the book.
//!
//! One request, file by file: `serve` (the connection), `router` (who may), `posted` with `gateway/form` or
//! `carrier/json` (what was sent), the use case (`gateway/authorise`, ...), `deliver` (its fault), `ledger`
//! (the pure core: key, decision, line), `world` (what is known), `book` (on disk), `answer`; what is told of its own accord:
//! `webhooks`.

mod answer;
mod book;
mod carrier;
mod clock;
mod config;
mod control;
mod deliver;
mod digest;
mod faults;
mod gateway;
mod keys;
mod ledger;
mod look_up;
mod posted;
mod router;
mod sandbox;
mod serve;
mod step;
mod webhooks;
mod wire;
mod world;

pub use book::{BookError, Effect, Entry};
pub use carrier::Shipment;
pub use clock::{Clock, Moment, SystemClock};
pub use config::Config;
pub use faults::{
    BreakRefused, BreakRequest, BreakView, Fault, FaultKind, Outage, Profile, ProfileError, Rate, plan,
};
pub use gateway::{Decline, Intent, Refund, Status};
pub use serve::{ServeError, serve};
pub use step::{Address, Party, Step};
pub use webhooks::{Webhook, WebhookFaults};
