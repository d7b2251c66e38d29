//! An event on the wire: a CloudEvent in Kafka's binary mode
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md>): its attributes are
//! headers, its data is the record's value, its subject the key. One header more says where it stands in its outbox.

use std::str::FromStr;

use banyan_kernel::{Envelope, Timestamp};
use banyan_store::Position;
use rdkafka::{
    Message,
    message::{Header, Headers, OwnedHeaders},
};
use time::format_description::well_known::Rfc3339;

/// Not an attribute of the event: the position that is written beside the effects, on every carrier the same.
const POSITION: &str = "banyan_position";

/// Of a record that is no event: every event of its partition up to there is before it. It moves slots of which nothing is told.
const MARK: &str = "banyan_mark";

/// Why a record is not an event of this source.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// A header is missing, or is no text.
    #[error("it has no header {0}")]
    Missing(&'static str),
    /// A header that says nothing.
    #[error("its header {0} cannot be read")]
    Unreadable(&'static str),
    /// The value is not JSON.
    #[error("its value is not JSON")]
    Data,
}

/// An event as a record: headers and value. The key is its subject.
pub(crate) fn encode(at: Position, event: &Envelope) -> (OwnedHeaders, Vec<u8>) {
    // A time of the years 0 to 9999 and a JSON value always have a text.
    let time = event.time.format(&Rfc3339).unwrap_or_default();
    let data = serde_json::to_vec(&event.data).unwrap_or_default();
    let headers = [
        ("ce_specversion", "1.0".to_owned()),
        ("content-type", "application/json".to_owned()),
        ("ce_id", event.id.to_string()),
        ("ce_type", event.kind.clone()),
        ("ce_source", event.source.clone()),
        ("ce_subject", event.subject.clone()),
        ("ce_time", time),
        ("ce_schemaversion", event.schema_version.to_string()),
        ("ce_sequence", event.sequence.to_string()),
        ("ce_causation", event.causation.clone()),
        ("ce_actor", event.actor.clone()),
        ("ce_traceparent", event.traceparent.to_string()),
        (POSITION, at.to_string()),
    ];
    let with =
        |all: OwnedHeaders, (key, value): &(&str, String)| all.insert(Header { key, value: Some(value) });
    (headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), with), data)
}

/// A mark as a record: it has headers alone.
pub(crate) fn encode_mark(at: Position) -> OwnedHeaders {
    OwnedHeaders::new_with_capacity(1).insert(Header { key: MARK, value: Some(&at.to_string()) })
}

/// A record as a mark.
pub(crate) fn decode_mark(record: &impl Message) -> Option<Position> {
    position(text(record, MARK).ok()?)
}

/// A record as an event, and where it stands in its outbox.
pub(crate) fn decode(record: &impl Message) -> Result<(Position, Envelope), Malformed> {
    let data = serde_json::from_slice(record.payload().unwrap_or_default()).map_err(|_| Malformed::Data)?;
    let event = Envelope {
        id: parsed(record, "ce_id")?,
        kind: text(record, "ce_type")?.to_owned(),
        source: text(record, "ce_source")?.to_owned(),
        subject: text(record, "ce_subject")?.to_owned(),
        time: Timestamp::parse(text(record, "ce_time")?, &Rfc3339)
            .map_err(|_| Malformed::Unreadable("ce_time"))?,
        schema_version: parsed(record, "ce_schemaversion")?,
        sequence: parsed(record, "ce_sequence")?,
        causation: text(record, "ce_causation")?.to_owned(),
        actor: text(record, "ce_actor")?.to_owned(),
        traceparent: parsed(record, "ce_traceparent")?,
        data,
    };
    Ok((position(text(record, POSITION)?).ok_or(Malformed::Unreadable(POSITION))?, event))
}

fn text<'a>(record: &'a impl Message, name: &'static str) -> Result<&'a str, Malformed> {
    let headers = record.headers().ok_or(Malformed::Missing(name))?;
    let value = headers.iter().find(|header| header.key == name).and_then(|header| header.value);
    value.and_then(|value| std::str::from_utf8(value).ok()).ok_or(Malformed::Missing(name))
}

fn parsed<T: FromStr>(record: &impl Message, name: &'static str) -> Result<T, Malformed> {
    text(record, name)?.parse().map_err(|_| Malformed::Unreadable(name))
}

fn position(text: &str) -> Option<Position> {
    let mut numbers = text.split('/').map(|number| number.parse::<i64>().ok());
    let position = Position { epoch: numbers.next()??, xid: numbers.next()??, seq: numbers.next()?? };
    numbers.next().is_none().then_some(position)
}

#[cfg(test)]
mod tests {
    use banyan_kernel::{Clock, ManualClock, TraceParent, event_id};
    use rdkafka::message::{OwnedMessage, Timestamp as Stamp};

    use super::*;

    fn record(headers: Option<OwnedHeaders>, data: Vec<u8>) -> OwnedMessage {
        OwnedMessage::new(Some(data), None, "t".to_owned(), Stamp::NotAvailable, 0, 0, headers)
    }

    fn event() -> Envelope {
        Envelope {
            id: event_id("orders", "o-1", 3),
            kind: "OrderPlaced".to_owned(),
            source: "orders".to_owned(),
            subject: "o-1".to_owned(),
            time: ManualClock::at_micros(1_700_000_000_123_456).now(),
            schema_version: 2,
            sequence: 3,
            causation: "a command".to_owned(),
            actor: "customer:ä".to_owned(),
            traceparent: TraceParent::root(uuid::Uuid::from_u128(7)),
            data: serde_json::json!({"total": "12.50", "lines": [1, null]}),
        }
    }

    #[test]
    fn an_event_comes_back_as_it_was() {
        let at = Position { epoch: 2, xid: 10_001, seq: 7 };
        let (headers, data) = encode(at, &event());
        assert_eq!(decode(&record(Some(headers), data)), Ok((at, event())));
    }

    #[test]
    fn a_mark_is_no_event_and_says_where_it_stands() {
        let at = Position { epoch: 2, xid: 10_001, seq: 7 };
        let mark = record(Some(encode_mark(at)), Vec::new());
        assert_eq!((decode_mark(&mark), decode(&mark)), (Some(at), Err(Malformed::Data)));
        let (headers, data) = encode(at, &event());
        assert_eq!(decode_mark(&record(Some(headers), data)), None);
    }

    #[test]
    fn what_is_no_event_is_told_from_one() {
        let (headers, data) = encode(Position::START, &event());
        assert_eq!(decode(&record(None, data.clone())), Err(Malformed::Missing("ce_id")));
        assert_eq!(decode(&record(Some(headers), b"{".to_vec())), Err(Malformed::Data));
        let id = Header { key: "ce_id", value: Some("seven") };
        let headers = OwnedHeaders::new().insert(id);
        assert_eq!(decode(&record(Some(headers), data)), Err(Malformed::Unreadable("ce_id")));
        assert_eq!(["1/2", "1/2/3/4", "1/2/x", ""].map(position), [None; 4]);
    }
}
