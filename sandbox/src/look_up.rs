//! Reads: they see nothing that a crash could take back, and are down when their party is.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::response::{IntoResponse as _, Response};

use crate::answer::{Answer, Trouble};
use crate::deliver::down;
use crate::faults::Fault;
use crate::posted::delivery;
use crate::sandbox::Sandbox;
use crate::step::{Address, Party, Step};
use crate::wire::Wire;
use crate::world::World;

/// What a reading caller sends.
pub(crate) struct LookUp {
    pub(crate) params: BTreeMap<String, String>,
    path: String,
    delivery: u32,
    wire: Wire,
}

impl FromRequestParts<Arc<Sandbox>> for LookUp {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<Sandbox>) -> Result<Self, Infallible> {
        let params = Query::try_from_uri(&parts.uri).map(|Query(params)| params).unwrap_or_default();
        let path = parts.uri.path_and_query().map_or("", |path| path.as_str()).to_owned();
        let wire = parts.extensions.get::<Wire>().cloned().unwrap_or_default();
        Ok(Self { params, path, delivery: delivery(&parts.headers).unwrap_or(1), wire })
    }
}

/// Answers from the world as it is in the book.
pub(crate) async fn look_up(
    sandbox: &Sandbox,
    party: Party,
    call: LookUp,
    read: impl FnOnce(&World) -> Answer,
) -> Response {
    if let Fault::Down(outage) = turned_down(sandbox, party, &call) {
        return down(outage, party, &call.wire).await;
    }
    let (answer, end) = {
        let ledger = sandbox.ledger();
        (read(&ledger.world), ledger.tail.end())
    };
    match sandbox.book.reached(end).await {
        Ok(()) => answer.into_response(),
        Err(_) => Trouble::NotBooked.told_by(party).into_response(),
    }
}

/// A profile leaves reads alone; a break that takes a party down takes its reads down too.
fn turned_down(sandbox: &Sandbox, party: Party, call: &LookUp) -> Fault {
    let step = if party == Party::Gateway { Step::Authorise } else { Step::Book };
    let address =
        Address { order: format!("look-up {}", call.path), step, attempt: 1, delivery: call.delivery };
    sandbox.breaks().down(sandbox.config.seed, &address, sandbox.now().uptime)
}
